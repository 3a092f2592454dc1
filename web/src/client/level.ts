/** How loud a stream is right now. */

const FLOOR_DB = -60;
const CEILING_DB = -12;

export class LevelMeter {
  readonly #analyser: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;
  #source: MediaStreamAudioSourceNode | undefined;
  #shown = 0;

  constructor(context: AudioContext) {
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  /** Listens to another stream from now on; without one, to nothing. */
  listen(stream: MediaStream | undefined): void {
    this.#source?.disconnect();
    this.#source = undefined;
    if (!stream?.getAudioTracks().length) return;
    this.#source = (this.#analyser.context as AudioContext).createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
  }

  /** Root mean square of the last 20 ms, 0 to 1. */
  loudness(): number {
    if (!this.#source) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    return Math.sqrt(sum / this.#samples.length);
  }

  /** The level as an eye expects it, 0 to 1: in decibels, quick to rise and slow to fall. */
  read(): number {
    const level = heightOf(this.loudness());
    this.#shown = level > this.#shown ? level : this.#shown * 0.88 + level * 0.12;
    return this.#shown;
  }
}

export function heightOf(loudness: number): number {
  if (loudness <= 0) return 0;
  const db = 20 * Math.log10(loudness);
  return Math.min(1, Math.max(0, (db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
}
