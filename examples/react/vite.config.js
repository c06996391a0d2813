import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // The protocol module lives outside this folder, in static/.
  server: { fs: { allow: ["../.."] } },
});
