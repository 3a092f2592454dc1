/** Asks for the server's key. */

import { element } from "./elements.ts";

const FIRST = "Its owner gives you one. It is kept in this tab only, until you close it.";
const REFUSED = "That key was not accepted. Check it and enter it again.";

export class KeyDialog {
  readonly #dialog = element("key-dialog", HTMLDialogElement);
  readonly #text = element("key-text", HTMLParagraphElement);
  readonly #key = element("key", HTMLInputElement);

  /** Resolves with the key, or with undefined when the person would rather not. */
  ask(wasRefused: boolean): Promise<string | undefined> {
    this.#text.textContent = wasRefused ? REFUSED : FIRST;
    this.#key.value = "";
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    this.#key.focus();
    return new Promise((resolve) => {
      this.#dialog.addEventListener("close", () => resolve(this.#answer()), { once: true });
    });
  }

  #answer(): string | undefined {
    const key = this.#key.value.trim();
    this.#key.value = "";
    return this.#dialog.returnValue === "ok" && key ? key : undefined;
  }
}
