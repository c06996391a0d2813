import { createApp } from "vue";
import App from "./App.vue";
import "./style.css";

const query = new URLSearchParams(location.search);
const url = query.get("server") ?? import.meta.env.VITE_BUTACA_URL ?? "ws://localhost:8001";
const name = query.get("name") ?? `vue-${Math.random().toString(36).slice(2, 6)}`;

// The shop of examples/shop, for the pay button.
const shop = query.get("shop") ?? import.meta.env.VITE_SHOP_URL;

createApp(App, { url, name, protocol: query.get("protocol") ?? "auto", shop }).mount("#app");
