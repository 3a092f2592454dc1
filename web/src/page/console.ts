/** The fixed parts of the page: buttons, state line, agent card and the field for typing. */

import type { Agent } from "../client/signalling.ts";
import { isInCall, type CallState } from "../client/states.ts";
import { element, showIcon } from "./elements.ts";
import * as words from "./words.ts";

const WIDE = matchMedia("(min-width: 56.01rem)");

export class Console {
  readonly #state = element("state", HTMLSpanElement);
  readonly #time = element("time", HTMLSpanElement);
  readonly #announcer = element("announcer", HTMLParagraphElement);
  readonly #start = element("start", HTMLButtonElement);
  readonly #stop = element("stop", HTMLButtonElement);
  readonly #stopLabel = element("stop-label", HTMLSpanElement);
  readonly #mute = element("mute", HTMLButtonElement);
  readonly #muteLabel = element("mute-label", HTMLSpanElement);
  readonly #muteIcon = element("mute-icon", SVGUseElement);
  readonly #message = element("message", HTMLInputElement);
  readonly #send = element("send", HTMLButtonElement);
  readonly #copy = element("copy", HTMLButtonElement);
  readonly #copyLabel = element("copy-label", HTMLSpanElement);
  readonly #settings = element("settings", HTMLDetailsElement);
  onStart: () => void = () => undefined;
  onStop: () => void = () => undefined;
  onMute: () => void = () => undefined;
  onText: (text: string) => boolean = () => false;
  onCopy: () => string = () => "";

  constructor() {
    this.#start.addEventListener("click", () => this.onStart());
    this.#stop.addEventListener("click", () => this.onStop());
    this.#mute.addEventListener("click", () => this.onMute());
    this.#copy.addEventListener("click", () => void this.#copyText());
    this.#message.addEventListener("input", () => this.#showSend());
    element("composer", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#message.value.trim();
      if (text && this.onText(text)) this.#message.value = "";
      this.#showSend();
    });
    this.#settings.open = WIDE.matches;
    WIDE.addEventListener("change", () => (this.#settings.open = WIDE.matches));
  }

  setLoading(): void {
    this.#start.disabled = true;
    this.#state.textContent = "Loading";
  }

  setUnavailable(): void {
    this.#start.hidden = true;
    this.#settings.hidden = true;
    this.#state.textContent = "Not available";
    this.#state.dataset["state"] = "failed";
  }

  showAgent(agent: Agent, title: string): void {
    document.title = `${title} · Parley`;
    element("agent-title", HTMLHeadingElement).textContent = title;
    element("agent-description", HTMLParagraphElement).textContent = agent.description;
    element("script-note", HTMLParagraphElement).hidden = agent.is_language_model;
    for (const kind of ["stt", "llm", "tts"] as const) {
      element(`engine-${kind}`, HTMLElement).textContent = agent.engines[kind];
    }
    element("engines", HTMLElement).hidden = false;
    this.#settings.hidden = false;
    this.#start.disabled = false;
    this.#start.hidden = false;
  }

  showState(state: CallState, phase: words.Phase, isTypeOnly: boolean): void {
    const isOn = isInCall(state) || state === "asking";
    const hasBegun = state === "live" || state === "reconnecting";
    // A button that goes away would take the keyboard's place on the page with it.
    const losesFocus = [this.#start, this.#stop].some((button) => button === document.activeElement);
    document.body.dataset["state"] = state;
    this.#state.dataset["state"] = state;
    this.#state.dataset["phase"] = state === "live" ? phase : "";
    this.#state.textContent = words.stateWords(state, phase);
    this.#start.hidden = isOn || state === "failed";
    this.#start.lastElementChild!.textContent = state === "ended" ? "Call again" : "Start the call";
    this.#stop.hidden = !isOn;
    this.#stopLabel.textContent = hasBegun ? "End call" : "Cancel";
    this.#mute.hidden = !hasBegun || isTypeOnly;
    this.#time.hidden = !isInCall(state) && state !== "ended";
    if (state === "connecting") this.#time.textContent = "0:00";
    this.#showComposer(hasBegun);
    this.#announce(state);
    if (losesFocus) (isOn ? this.#stop : this.#start).focus({ preventScroll: true });
  }

  showTime(text: string): void {
    this.#time.textContent = text;
  }

  setMuted(isMuted: boolean): void {
    this.#mute.ariaPressed = String(isMuted);
    this.#muteLabel.textContent = isMuted ? "Muted" : "Mute";
    showIcon(this.#muteIcon, isMuted ? "i-mic-off" : "i-mic");
  }

  setCopyable(isCopyable: boolean): void {
    this.#copy.hidden = !isCopyable || !navigator.clipboard;
  }

  #showComposer(isOpen: boolean): void {
    this.#message.disabled = !isOpen;
    this.#message.placeholder = isOpen ? "Type a message" : "You can type during a call";
    this.#showSend();
  }

  #showSend(): void {
    this.#send.disabled = this.#message.disabled || !this.#message.value.trim();
  }

  #announce(state: CallState): void {
    const text = words.announcement(state);
    if (this.#announcer.textContent !== text) this.#announcer.textContent = text;
  }

  async #copyText(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.onCopy());
      this.#copyLabel.textContent = "Copied";
    } catch {
      this.#copyLabel.textContent = "Not allowed";
    }
    window.setTimeout(() => (this.#copyLabel.textContent = "Copy"), 2000);
  }
}
