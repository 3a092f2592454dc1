// Builds the call page into the Python package; `npm run dev` shows it against a running server.
import { defineConfig } from "vite";

const server = process.env["PARLEY_URL"] ?? "http://127.0.0.1:7860";

export default defineConfig({
  base: "/",
  build: {
    outDir: "../src/parley/console/web",
    emptyOutDir: true,
    target: "es2023",
    // A data: address would need a hole in the page's content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": server } },
});
