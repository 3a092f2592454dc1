/** One RTCPeerConnection: the offer, trickled candidates, the data channel, and whether it lives. */

import { askForRetransmissions } from "./sdp.ts";
import type { Answer, Offer, Signalling } from "./signalling.ts";

const PING_EVERY_MS = 1000;
const LOOK_EVERY_MS = 500;
const SILENT_MS = 2500;

export interface PeerListener {
  onMessage(peer: Peer, text: string): void;
  /** The far side's `sound` is there. */
  onSound(peer: Peer): void;
  /** The far side can't be reached any more, or has closed. Told once. */
  onLost(peer: Peer, why: string): void;
}

export class Peer {
  readonly pc: RTCPeerConnection;
  readonly channel: RTCDataChannel;
  readonly #signalling: Signalling;
  readonly #listener: PeerListener;
  readonly #sender: RTCRtpSender;
  readonly #ready: Promise<void>;
  #becomeReady: () => void = () => undefined;
  #candidates: RTCIceCandidate[] = [];
  #timers: number[] = [];
  #isOver = false;
  #isLost = false;
  #packets = 0;
  #packetsAtMs = 0;
  #lookedAtMs = 0;
  pcId = "";
  sound: MediaStream | undefined;

  constructor(
    signalling: Signalling,
    iceServers: RTCIceServer[],
    microphone: MediaStream,
    listener: PeerListener,
  ) {
    this.#signalling = signalling;
    this.#listener = listener;
    this.pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#sender = this.pc.addTrack(microphone.getAudioTracks()[0]!, microphone);
    this.channel = this.pc.createDataChannel("chat", { ordered: true });
    this.#ready = new Promise((resolve) => (this.#becomeReady = resolve));
    this.#watch();
  }

  /** Sends the offer and waits until sound and messages can flow; throws when that can't be. */
  async connect(extra: Omit<Offer, "sdp" | "type">, timeoutMs: number): Promise<Answer> {
    const deadline = performance.now() + timeoutMs;
    await this.#setOffer();
    const { sdp, type } = this.pc.localDescription!;
    const answer = await this.#signalling.offer({ sdp, type, ...extra }, timeoutMs);
    this.#throwIfOver();
    this.pcId = answer.pc_id;
    this.#sendCandidates();
    await this.pc.setRemoteDescription({ sdp: answer.sdp, type: answer.type });
    await this.#connected(deadline - performance.now());
    this.#startTimers();
    return answer;
  }

  /** Whether packets have come in lately. */
  get isAlive(): boolean {
    const isConnected = this.pc.connectionState === "connected" && this.channel.readyState === "open";
    return isConnected && performance.now() - this.#packetsAtMs < SILENT_MS;
  }

  /** Whether anything that is sent now will be heard. */
  get canSend(): boolean {
    return this.channel.readyState === "open";
  }

  send(message: object): boolean {
    if (!this.canSend) return false;
    this.channel.send(JSON.stringify(message));
    return true;
  }

  async useMicrophone(microphone: MediaStream): Promise<void> {
    await this.#sender.replaceTrack(microphone.getAudioTracks()[0] ?? null);
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timers.forEach(clearInterval);
    this.#becomeReady();
    this.pc.close();
  }

  /** Says goodbye, lets the last sound play, and closes when the far side has or soon after. */
  leave(words: object[], patienceMs = 600): void {
    if (!this.canSend) return this.close();
    words.forEach((word) => this.send(word));
    this.#isLost = true;
    this.channel.addEventListener("close", () => this.close());
    this.#timers.push(window.setTimeout(() => this.close(), patienceMs));
  }

  async #setOffer(): Promise<void> {
    const offer = await this.pc.createOffer();
    try {
      await this.pc.setLocalDescription({ type: "offer", sdp: askForRetransmissions(offer.sdp ?? "") });
    } catch {
      // A browser that takes no changed offer does without retransmissions.
      await this.pc.setLocalDescription(offer);
    }
  }

  #watch(): void {
    this.pc.addEventListener("icecandidate", ({ candidate }) => {
      // The end of candidates is not told: a late mDNS answer may still make a pair.
      if (!candidate?.candidate) return;
      this.#candidates.push(candidate);
      this.#sendCandidates();
    });
    this.pc.addEventListener("track", ({ track, streams }) => {
      this.sound = streams[0] ?? new MediaStream([track]);
      this.#listener.onSound(this);
    });
    this.pc.addEventListener("connectionstatechange", () => this.#stateChanged());
    this.channel.addEventListener("open", () => this.#stateChanged());
    this.channel.addEventListener("close", () => this.#lose("the data channel closed"));
    this.channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (!this.#isOver && typeof data === "string") this.#listener.onMessage(this, data);
    });
  }

  #stateChanged(): void {
    const state = this.pc.connectionState;
    if (state === "connected" && this.channel.readyState === "open") this.#becomeReady();
    if (state === "disconnected" || state === "failed" || state === "closed") this.#lose(state);
  }

  #lose(why: string): void {
    if (this.#isOver || this.#isLost) return;
    this.#isLost = true;
    this.#becomeReady();
    this.#listener.onLost(this, why);
  }

  async #connected(timeoutMs: number): Promise<void> {
    const timer = window.setTimeout(this.#becomeReady, Math.max(0, timeoutMs));
    await this.#ready;
    clearTimeout(timer);
    this.#throwIfOver();
    if (this.pc.connectionState !== "connected" || !this.canSend) throw new NoPath();
  }

  #throwIfOver(): void {
    if (this.#isOver) throw new Cancelled();
  }

  #sendCandidates(): void {
    if (!this.pcId || !this.#candidates.length) return;
    const batch = this.#candidates;
    this.#candidates = [];
    this.#signalling.addCandidates(this.pcId, batch).catch((error: unknown) => {
      // The call often connects without them; if not, `connect` says so.
      console.warn("ICE candidates were not taken", error);
    });
  }

  #startTimers(): void {
    this.#packetsAtMs = this.#lookedAtMs = performance.now();
    this.#ping();
    this.#timers.push(window.setInterval(() => this.#ping(), PING_EVERY_MS));
    this.#timers.push(window.setInterval(() => this.#look().catch(() => undefined), LOOK_EVERY_MS));
  }

  /** The server takes a caller who has not pinged for three seconds for gone. */
  #ping(): void {
    if (this.canSend) this.channel.send(`ping: ${Date.now()}`);
  }

  async #look(): Promise<void> {
    const nowMs = performance.now();
    const slept = nowMs - this.#lookedAtMs > 4 * LOOK_EVERY_MS;
    this.#lookedAtMs = nowMs;
    const packets = packetsIn(await this.pc.getStats());
    if (this.#isOver) return;
    if (packets !== this.#packets || slept) {
      this.#packets = packets;
      this.#packetsAtMs = nowMs;
    } else if (nowMs - this.#packetsAtMs >= SILENT_MS) {
      this.#lose("no packets");
    }
  }
}

/** The offer was answered, but no packet finds its way. */
export class NoPath extends Error {}

/** The call was given up while it was being set up. */
export class Cancelled extends Error {}

function packetsIn(stats: RTCStatsReport): number {
  let packets = 0;
  stats.forEach((entry: { type: string; packetsReceived?: number }) => {
    if (entry.type === "inbound-rtp") packets += entry.packetsReceived ?? 0;
  });
  return packets;
}
