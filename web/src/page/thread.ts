/** Draws the string between the two voices: slack without a call, taut in one, moved by both. */

const SAG = 0.3;
const PIECES = 72;

interface Levels {
  agent: number;
  you: number;
}

export class Thread {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #isTaut = false;
  #isBroken = false;
  #sag = SAG;
  #width = 0;
  #height = 0;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d")!;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(0, STILL));
  }

  /** Returns whether the string still has to move to get there. */
  set(isTaut: boolean, isBroken: boolean): void {
    this.#isTaut = isTaut;
    this.#isBroken = isBroken;
  }

  get isSettled(): boolean {
    return Math.abs(this.#sag - this.#wanted) < 0.002;
  }

  get #wanted(): number {
    return this.#isTaut ? 0 : SAG;
  }

  draw(atMs: number, levels: Levels): void {
    const isCalm = this.#calm.matches;
    this.#sag = isCalm ? this.#wanted : this.#sag + (this.#wanted - this.#sag) * 0.09;
    const context = this.#context;
    context.clearRect(0, 0, this.#width, this.#height);
    context.beginPath();
    for (let piece = 0; piece <= PIECES; piece += 1) {
      const x = piece / PIECES;
      const y = this.#height / 2 + this.#offset(x, atMs / 1000, isCalm ? STILL : levels);
      if (piece === 0) context.moveTo(0, y);
      else context.lineTo(x * this.#width, y);
    }
    context.strokeStyle = this.#stroke();
    context.lineWidth = 2;
    context.lineCap = "round";
    context.setLineDash(this.#isBroken ? [2, 7] : []);
    context.stroke();
  }

  /** Each voice sends its wave along the string, and the wave fades on the way. */
  #offset(x: number, atS: number, { agent, you }: Levels): number {
    const half = this.#height / 2 - 2;
    const held = Math.sin(Math.PI * x);
    const fromAgent = agent * Math.exp(-1.6 * x) * Math.sin(19 * x - 17 * atS);
    const fromYou = you * Math.exp(-1.6 * (1 - x)) * Math.sin(23 * x + 19 * atS);
    const slack = this.#sag * (1 - (2 * x - 1) ** 2) * this.#height;
    return slack + held * half * Math.max(-1, Math.min(1, fromAgent + fromYou));
  }

  #stroke(): CanvasGradient {
    const style = getComputedStyle(this.#canvas);
    const gradient = this.#context.createLinearGradient(0, 0, this.#width, 0);
    gradient.addColorStop(0, style.getPropertyValue("--agent"));
    gradient.addColorStop(1, style.getPropertyValue("--you"));
    return gradient;
  }

  #resize(): void {
    const scale = window.devicePixelRatio || 1;
    this.#width = this.#canvas.clientWidth;
    this.#height = this.#canvas.clientHeight;
    this.#canvas.width = Math.round(this.#width * scale);
    this.#canvas.height = Math.round(this.#height * scale);
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw(0, STILL);
  }
}

export const STILL: Levels = { agent: 0, you: 0 };
