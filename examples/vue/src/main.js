import { createApp } from "vue";
import App from "./App.vue";
import "./style.css";

const query = new URLSearchParams(location.search);
const url = query.get("server") ?? import.meta.env.VITE_BUTACA_URL ?? "ws://localhost:8001";
const name = query.get("name") ?? `vue-${Math.random().toString(36).slice(2, 6)}`;

createApp(App, { url, name, protocol: query.get("protocol") ?? "auto" }).mount("#app");
