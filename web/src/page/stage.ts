/** The stage: both levels and the string between them, moving only while there is a call. */

import { LevelMeter } from "../client/level.ts";
import { element, showIcon } from "./elements.ts";
import { STILL, Thread } from "./thread.ts";

const TELL_EVERY_MS = 500;
/** Below this a microphone gives nothing at all: even a quiet room is louder. */
const DEAD = 0.0004;

export class Stage {
  readonly #thread = new Thread(element("thread", HTMLCanvasElement));
  readonly #agent = element("level-agent", HTMLDivElement);
  readonly #you = element("level-you", HTMLDivElement);
  readonly #youIcon = element("you-icon", SVGUseElement);
  readonly #initial = element("agent-initial", HTMLSpanElement);
  #context: AudioContext | undefined;
  #agentMeter: LevelMeter | undefined;
  #youMeter: LevelMeter | undefined;
  #isMoving = false;
  #isFrameAsked = false;
  #toldAtMs = 0;
  /** Whether the microphone has given any sound since `listenToYou`. */
  hasHeardYou = false;

  /** Browsers let sound start only after a click: call this first from within one. */
  context = (): AudioContext => {
    this.#context ??= new AudioContext();
    void this.#context.resume();
    return this.#context;
  };

  showAgent(title: string): void {
    this.#initial.textContent = [...title][0]?.toUpperCase() ?? "";
  }

  listenToAgent(stream: MediaStream | undefined): void {
    this.#agentMeter ??= new LevelMeter(this.context());
    this.#agentMeter.listen(stream);
  }

  listenToYou(stream: MediaStream | undefined): void {
    this.#youMeter ??= new LevelMeter(this.context());
    this.#youMeter.listen(stream);
    this.hasHeardYou = false;
  }

  setMuted(isMuted: boolean): void {
    document.body.dataset["muted"] = String(isMuted);
    showIcon(this.#youIcon, isMuted ? "i-mic-off" : "i-mic");
  }

  set(isInCall: boolean, isBroken: boolean): void {
    this.#thread.set(isInCall, isBroken);
    this.#isMoving = isInCall;
    this.#askFrame();
  }

  #askFrame(): void {
    if (this.#isFrameAsked) return;
    this.#isFrameAsked = true;
    requestAnimationFrame((atMs) => this.#frame(atMs));
  }

  #frame(atMs: number): void {
    this.#isFrameAsked = false;
    const levels = this.#isMoving ? this.#read() : STILL;
    this.#thread.draw(atMs, levels);
    this.#agent.style.setProperty("--level", levels.agent.toFixed(3));
    this.#you.style.setProperty("--level", levels.you.toFixed(3));
    if (atMs - this.#toldAtMs > TELL_EVERY_MS || !this.#isMoving) {
      this.#toldAtMs = atMs;
      this.#agent.ariaValueNow = String(Math.round(levels.agent * 100));
      this.#you.ariaValueNow = String(Math.round(levels.you * 100));
    }
    if (this.#isMoving || !this.#thread.isSettled) this.#askFrame();
  }

  #read(): { agent: number; you: number } {
    if ((this.#youMeter?.loudness() ?? 0) > DEAD) this.hasHeardYou = true;
    return { agent: this.#agentMeter?.read() ?? 0, you: this.#youMeter?.read() ?? 0 };
  }
}
