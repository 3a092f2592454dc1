// What both Realtime clients speak with: a microphone that is always on, a loudspeaker, a log.
import { readFileSync } from "node:fs";

export const RATE_HZ = 24000;
const PACKET_MS = 20;
const PACKET_BYTES = (RATE_HZ / 1000) * PACKET_MS * 2;

export const sentence = (name) => readFileSync(process.env[name]);

/** Gives `send` 20 ms of s16le every 20 ms: speech if there is some, else silence. */
export class Microphone {
  #send;
  #speech = [];
  #sent = 0;
  #started = Date.now();
  #timer;

  constructor(send) {
    this.#send = send;
    this.#timer = setInterval(() => this.#pass(), PACKET_MS / 2);
  }

  say(pcm) {
    for (let at = 0; at < pcm.length; at += PACKET_BYTES) {
      const packet = Buffer.alloc(PACKET_BYTES);
      pcm.copy(packet, 0, at, Math.min(at + PACKET_BYTES, pcm.length));
      this.#speech.push(packet);
    }
  }

  stop() {
    clearInterval(this.#timer);
  }

  #pass() {
    while (this.#sent * PACKET_MS <= Date.now() - this.#started) {
      this.#send(this.#speech.shift() ?? Buffer.alloc(PACKET_BYTES));
      this.#sent += 1;
    }
  }
}

/** Plays what comes, by the clock, and knows how much of an item was heard. */
export class Loudspeaker {
  #endsAt = 0;
  #item;
  #itemBegan = 0;
  #cut = new Set();
  heard = new Map();

  play(item, pcm) {
    if (this.#cut.has(item)) return;
    const now = Date.now();
    if (item !== this.#item) {
      this.#item = item;
      this.#itemBegan = Math.max(now, this.#endsAt);
      this.heard.set(item, []);
    }
    this.#endsAt = Math.max(now, this.#endsAt) + pcm.length / 2 / (RATE_HZ / 1000);
    this.heard.get(item).push(pcm);
  }

  /** Fall silent; the item that was cut off and how many ms of it were heard. */
  stop() {
    const now = Date.now();
    if (now >= this.#endsAt) return undefined;
    this.#endsAt = now;
    this.#cut.add(this.#item);
    return { item_id: this.#item, audio_end_ms: Math.max(0, now - this.#itemBegan) };
  }
}

/** Everything that happened, and a way to wait for it. */
export class Log {
  events = [];
  #waiting = [];

  note(event) {
    this.events.push(event);
    this.#waiting = this.#waiting.filter((look) => !look());
  }

  all(type) {
    return this.events.filter((event) => event.type === type);
  }

  /** The `count`-th event of the type, past or to come. */
  until(type, count = 1) {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.all(type);
        if (found.length >= count) resolve(found[count - 1]);
        return found.length >= count;
      };
      if (!look()) this.#waiting.push(look);
    });
  }
}
