import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [vue()],
  // The protocol module lives outside this folder, in static/.
  server: { fs: { allow: ["../.."] } },
});
