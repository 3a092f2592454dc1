/** A call to a Parley server: one microphone, one session, and as many connections as it takes. */

import { Emitter } from "./emitter.ts";
import type { EndReason, ParleyEvent } from "./events.ts";
import { openMicrophone, silence } from "./microphone.ts";
import { Cancelled, Peer } from "./peer.ts";
import { problem, problemOf, type Problem } from "./problems.ts";
import * as rtvi from "./rtvi.ts";
import { ServerProblem, type Answer, type Offer, type Signalling } from "./signalling.ts";
import { isInCall, stateAfter, type CallState, type Signal } from "./states.ts";

const CONNECT_WITHIN_MS = 15_000;
const RECONNECT_WITHIN_MS = 5_000;
/** Waits before each try; with their time-outs they outlast the server's patience. */
export const RECONNECT_AFTER_MS = [0, 500, 1000, 2000, 4000];

export interface CallOptions {
  agent: string;
  voice: string;
  microphoneId: string;
  /** Take the call without a microphone: listen, and type. */
  typeOnly: boolean;
}

export type EndCause = EndReason | "unknown";

interface ClientEvents extends Record<string, unknown> {
  state: CallState;
  event: ParleyEvent;
  message: rtvi.RtviMessage;
  sound: MediaStream;
  microphone: MediaStream;
  microphoneLost: undefined;
  ended: EndCause;
  problem: Problem;
}

export class ParleyClient extends Emitter<ClientEvents> {
  readonly signalling: Signalling;
  readonly context: () => AudioContext;
  state: CallState = "idle";
  sessionId = "";
  microphone: MediaStream | undefined;
  isMuted = false;
  #peer: Peer | undefined;
  /** Connections that a newer one is to replace; closing one early would end the call. */
  readonly #replaced: Peer[] = [];
  #pcId = "";
  #isBotReady = false;
  #iceServers: RTCIceServer[] = [];
  /** Counts calls, so that what was begun for one never touches the next. */
  #call = 0;
  #wake: () => void = () => undefined;

  constructor(signalling: Signalling, context: () => AudioContext) {
    super();
    this.signalling = signalling;
    this.context = context;
    window.addEventListener("online", () => {
      if (this.state === "live") void this.#reconnect("the network changed");
      this.#wake();
    });
    window.addEventListener("pagehide", () => this.#leavePage());
  }

  get pc(): RTCPeerConnection | undefined {
    return this.#peer?.pc;
  }

  async start(options: CallOptions): Promise<void> {
    if (isInCall(this.state) || this.state === "asking") return;
    const call = ++this.#call;
    this.sessionId = this.#pcId = "";
    this.isMuted = this.#isBotReady = false;
    this.#signal("start");
    try {
      const iceServers = this.signalling.iceServers();
      iceServers.catch(() => undefined);
      const microphone = await this.#open(options);
      if (call !== this.#call) return letGo(microphone);
      this.#use(microphone);
      this.#signal("microphone_ready");
      this.#iceServers = await iceServers;
      if (call !== this.#call) return;
      const { agent, voice } = options;
      await this.#connect({ request_data: { agent, ...(voice ? { voice } : {}) } }, CONNECT_WITHIN_MS);
    } catch (error) {
      if (call === this.#call && !(error instanceof Cancelled)) this.#fail(problemOf(error));
    }
  }

  /** Hangs up. */
  stop(): void {
    this.#end("caller");
  }

  setMuted(isMuted: boolean): void {
    this.isMuted = isMuted;
    this.microphone?.getAudioTracks().forEach((track) => (track.enabled = !isMuted));
  }

  /** Changes the microphone in the middle of a call; throws a MicrophoneProblem. */
  async useMicrophone(deviceId: string): Promise<void> {
    if (!this.microphone) return;
    const call = this.#call;
    const microphone = await openMicrophone(deviceId);
    if (call !== this.#call || !this.microphone) return letGo(microphone);
    this.#use(microphone);
    await this.#peer?.useMicrophone(microphone);
  }

  sendText(text: string): boolean {
    return this.#peer?.send(rtvi.sendText(text)) ?? false;
  }

  setVoice(voice: string): boolean {
    return this.#peer?.send(rtvi.setVoice(voice)) ?? false;
  }

  // ── setting up ─────────────────────────────────────────────────────────────

  async #open({ microphoneId, typeOnly }: CallOptions): Promise<MediaStream> {
    return typeOnly ? silence(this.context()) : openMicrophone(microphoneId);
  }

  #use(microphone: MediaStream): void {
    letGo(this.microphone);
    this.microphone = microphone;
    this.setMuted(this.isMuted);
    for (const track of microphone.getAudioTracks()) {
      track.addEventListener("ended", () => {
        if (this.microphone === microphone && isInCall(this.state)) this.emit("microphoneLost", undefined);
      });
    }
    this.emit("microphone", microphone);
  }

  async #connect(extra: Omit<Offer, "sdp" | "type">, timeoutMs: number): Promise<void> {
    if (this.#peer) this.#replaced.push(this.#peer);
    const peer = new Peer(this.signalling, this.#iceServers, this.microphone!, {
      onMessage: (from, text) => this.#received(from, text),
      onSound: (from) => from === this.#peer && this.state === "connecting" && this.#play(from),
      onLost: (from, why) => from === this.#peer && void this.#reconnect(why),
    });
    this.#peer = peer;
    try {
      this.#adopt(await peer.connect(extra, timeoutMs));
    } finally {
      this.#pcId = peer.pcId || this.#pcId;
    }
    if (this.state === "reconnecting") this.#play(peer);
    this.#replaced.splice(0).forEach((old) => old.close());
    if (!this.#isBotReady) peer.send(rtvi.clientReady(navigator.userAgent));
    this.#signal("connected");
  }

  #play(peer: Peer): void {
    if (peer.sound) this.emit("sound", peer.sound);
  }

  #adopt(answer: Answer): void {
    const sessionId = answer.session_id ?? "";
    if (this.sessionId && sessionId !== this.sessionId) throw new SessionGone();
    this.sessionId = sessionId;
  }

  // ── a network that comes and goes ──────────────────────────────────────────

  /** Opens new connections to the same session until one holds. */
  async #reconnect(why: string): Promise<void> {
    if (this.state !== "live") return;
    console.info(`Connection lost (${why}); opening another to the same session.`);
    this.#signal("lost");
    const call = this.#call;
    for (const waitMs of RECONNECT_AFTER_MS) {
      await this.#pause(waitMs);
      if (call !== this.#call) return;
      try {
        return await this.#connect({ pc_id: this.#pcId, restart_pc: true }, RECONNECT_WITHIN_MS);
      } catch (error) {
        if (call !== this.#call) return;
        // The session is over: the goodbye was lost with the connection.
        const isGone = error instanceof ServerProblem && error.status === 404;
        if (isGone || error instanceof SessionGone) return this.#end("unknown");
        console.info("Not yet:", error);
      }
    }
    this.#fail(problem("lost"));
  }

  /** Waits, or until the browser says that there is a network again. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      window.setTimeout(resolve, navigator.onLine ? ms : Math.max(ms, 5000));
    });
  }

  // ── what comes in ──────────────────────────────────────────────────────────

  #received(peer: Peer, text: string): void {
    // A peer that was left may still tell how its call ended, but that call is no longer ours.
    if (peer !== this.#peer && !this.#replaced.includes(peer)) return;
    if (rtvi.isPeerLeft(text)) return this.#end("unknown");
    const message = rtvi.parse(text);
    if (!message) return;
    this.emit("message", message);
    if (message.type === "bot-ready") this.#isBotReady = true;
    const event = rtvi.eventIn(message);
    if (!event) return;
    this.emit("event", event);
    if (event.event === "call_ended") this.#end(event.reason);
  }

  // ── endings ────────────────────────────────────────────────────────────────

  #end(cause: EndCause): void {
    if (!isInCall(this.state) && this.state !== "asking") return;
    const isOurWish = cause === "caller" || cause === "unknown";
    this.#release((peer) => peer.leave(isOurWish ? rtvi.goodbye() : []));
    this.#signal("ended");
    this.emit("ended", cause);
  }

  #fail(found: Problem): void {
    this.#release((peer) => peer.leave(rtvi.goodbye()));
    this.#signal("failed");
    this.emit("problem", found);
  }

  #leavePage(): void {
    this.#release((peer) => {
      peer.leave(rtvi.goodbye());
      peer.close();
    });
    this.#signal("ended");
  }

  #release(part: (peer: Peer) => void): void {
    this.#call += 1;
    this.#wake();
    if (this.#peer) part(this.#peer);
    this.#peer = undefined;
    this.#replaced.splice(0).forEach((old) => old.close());
    letGo(this.microphone);
    this.microphone = undefined;
  }

  #signal(signal: Signal): void {
    const state = stateAfter(this.state, signal);
    if (state === this.state) return;
    this.state = state;
    this.emit("state", state);
  }
}

/** The server made another session: the one that was lost is over. */
class SessionGone extends Error {}

function letGo(stream: MediaStream | undefined): void {
  stream?.getTracks().forEach((track) => track.stop());
}
