/** The call page: hands what the caller does to the client, and shows what the client tells. */

import type { EndCause, ParleyClient } from "../client/client.ts";
import type { ParleyEvent } from "../client/events.ts";
import { MicrophoneProblem } from "../client/microphone.ts";
import { problem, problemOf, type Problem } from "../client/problems.ts";
import type { Agent } from "../client/signalling.ts";
import { isInCall } from "../client/states.ts";
import { Console } from "./console.ts";
import { element } from "./elements.ts";
import { clock, median, seconds } from "./latency.ts";
import { recall, remember } from "./memory.ts";
import { AgentPicker, DevicePicker } from "./pickers.ts";
import type { Stage } from "./stage.ts";
import { Transcript, type Entry } from "./transcript.ts";
import { TranscriptView } from "./transcript_view.ts";
import { Hint, Trouble } from "./trouble.ts";
import { WakeLock } from "./wake_lock.ts";
import * as words from "./words.ts";

const SILENT_MICROPHONE_S = 10;

export class CallPage {
  readonly #client: ParleyClient;
  readonly #stage: Stage;
  readonly #audio: HTMLAudioElement;
  readonly #console = new Console();
  readonly #agents = new AgentPicker();
  readonly #devices: DevicePicker;
  readonly #view = new TranscriptView();
  readonly #trouble = new Trouble();
  readonly #hint = new Hint();
  readonly #wakeLock = new WakeLock();
  #transcript = new Transcript();
  #replies: number[] = [];
  #liveSinceMs = 0;
  #ticking = 0;
  #isTypeOnly = false;
  #lastFailure = "";
  #hasToldOfSilence = false;
  phase: words.Phase = "listening";

  constructor(client: ParleyClient, stage: Stage, audio: HTMLAudioElement) {
    this.#client = client;
    this.#stage = stage;
    this.#audio = audio;
    this.#devices = new DevicePicker(audio);
    this.#listenToPerson();
    this.#listenToClient();
    this.#showState();
  }

  async load(): Promise<void> {
    this.#trouble.hide();
    this.#console.setLoading();
    try {
      const agents = await this.#client.signalling.agents();
      if (!agents.length) throw new Error("This server has no agents.");
      this.#agents.fill(agents);
      await this.#devices.refresh();
      this.#showState();
    } catch (error) {
      this.#console.setUnavailable();
      this.#trouble.show(words.advice(problemOf(error)), () => void this.load());
    }
  }

  // ── what the person does ───────────────────────────────────────────────────

  #listenToPerson(): void {
    this.#console.onStart = () => this.#start(false);
    this.#console.onStop = () => this.#client.stop();
    this.#console.onMute = () => this.#mute(!this.#client.isMuted);
    this.#console.onText = (text) => this.#sendText(text);
    this.#console.onCopy = () => this.#transcript.toText(this.#view.agentName);
    this.#agents.onAgent = (agent) => this.#showAgent(agent);
    this.#agents.onVoice = (voice, name) => this.#changeVoice(voice, name);
    this.#devices.onMicrophone = (id) => void this.#changeMicrophone(id);
    const announce = element("announce", HTMLInputElement);
    this.#view.isAnnouncing = announce.checked = recall("announce") !== "no";
    announce.addEventListener("change", () => {
      this.#view.isAnnouncing = announce.checked;
      remember("announce", announce.checked ? "yes" : "no");
    });
  }

  #start(isTypeOnly: boolean): void {
    const agent = this.#agents.agent;
    if (!agent) return;
    this.#isTypeOnly = isTypeOnly;
    this.#trouble.hide();
    this.#hint.hide();
    this.#transcript = new Transcript();
    this.#view.clear();
    this.#console.setCopyable(false);
    this.#replies = [];
    this.#lastFailure = "";
    this.#hasToldOfSilence = false;
    this.#liveSinceMs = 0;
    this.phase = "listening";
    void this.#client.start({
      agent: agent.name,
      voice: this.#agents.voice,
      microphoneId: this.#devices.microphoneId,
      typeOnly: isTypeOnly,
    });
    // After the microphone has been asked for, which takes longer; still within the click.
    this.#stage.context();
  }

  #mute(isMuted: boolean): void {
    this.#client.setMuted(isMuted);
    this.#console.setMuted(isMuted);
    this.#stage.setMuted(isMuted || this.#isTypeOnly);
  }

  /** Returns whether the text is on its way. */
  #sendText(text: string): boolean {
    if (!this.#client.sendText(text)) {
      this.#hint.show(words.NOT_SENT);
      return false;
    }
    this.#hint.hide(words.NOT_SENT);
    this.#view.show([this.#transcript.typed(text)]);
    return true;
  }

  #changeVoice(voice: string, name: string): void {
    if (!isInCall(this.#client.state) || !this.#client.setVoice(voice)) return;
    this.#view.show([this.#transcript.note(`From the next reply on the voice is ${name}.`)]);
  }

  async #changeMicrophone(deviceId: string, note = ""): Promise<void> {
    if (!isInCall(this.#client.state)) return;
    try {
      await this.#client.useMicrophone(deviceId);
      if (this.#isTypeOnly) {
        this.#isTypeOnly = false;
        this.#mute(false);
        this.#showState();
      }
      if (note) this.#hint.show(note);
    } catch (error) {
      const text = error instanceof MicrophoneProblem ? words.advice(problemOf(error)).title : String(error);
      this.#hint.show(note ? words.MICROPHONE_GONE : `${text}.`);
    }
  }

  // ── what the client tells ──────────────────────────────────────────────────

  #listenToClient(): void {
    const client = this.#client;
    client.on("state", () => this.#stateChanged());
    client.on("event", (event) => this.#happened(event));
    client.on("sound", (stream) => this.#play(stream));
    client.on("microphone", (stream) => {
      this.#stage.listenToYou(stream);
      const openId = stream.getAudioTracks()[0]?.getSettings().deviceId ?? "";
      void this.#devices.refresh(openId);
    });
    client.on("microphoneLost", () => void this.#changeMicrophone("", words.MICROPHONE_CHANGED));
    client.on("ended", (cause) => this.#ended(cause));
    client.on("problem", (found) => this.#failed(found));
  }

  #stateChanged(): void {
    const { state } = this.#client;
    if (state === "live") {
      this.#liveSinceMs ||= performance.now();
      this.#hint.hide();
    }
    if (state === "connecting") this.#mute(false);
    this.phase = "listening";
    this.#wakeLock.want(isInCall(state));
    this.#tick(isInCall(state));
    this.#stage.set(isInCall(state), state === "reconnecting");
    this.#agents.setLocked(isInCall(state) || state === "asking");
    this.#showState();
  }

  #happened(event: ParleyEvent): void {
    switch (event.event) {
      case "user_speech_started":
        this.#setPhase("hearing");
        break;
      case "user_speech_stopped":
      case "tool_started":
        if (this.phase !== "speaking") this.#setPhase("thinking");
        break;
      case "agent_speech_started":
        this.#setPhase("speaking");
        break;
      case "agent_speech_stopped":
        if (this.phase === "speaking") this.#setPhase("listening");
        break;
      case "turn_ended":
        if (this.phase === "thinking") this.#setPhase("listening");
        if (event.stages.reply_ms !== undefined) this.#replies.push(event.stages.reply_ms);
        break;
      case "call_failed":
        this.#lastFailure = [event.message, event.hint].filter(Boolean).join(" ");
    }
    const note = words.noteFor(event);
    const changed: Entry[] = this.#transcript.apply(event);
    if (note) changed.push(this.#transcript.note(note.text, note.tone));
    if (changed.length) this.#view.show(changed);
  }

  #setPhase(phase: words.Phase): void {
    this.phase = phase;
    this.#showState();
  }

  #play(stream: MediaStream): void {
    this.#audio.srcObject = stream;
    this.#stage.listenToAgent(stream);
    this.#audio.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      this.#hint.show(words.SOUND_BLOCKED, "Play", () => void this.#audio.play());
    });
  }

  #ended(cause: EndCause): void {
    if (this.#client.state !== "ended") return;
    if (cause === "caller") this.#audio.srcObject = null;
    this.#close([words.endWords(cause), ...this.#summary()].join(" · "));
    if (cause !== "error") return;
    const found = problem("call_failed", this.#lastFailure);
    this.#trouble.show(words.advice(found), () => this.#start(this.#isTypeOnly));
  }

  #failed(found: Problem): void {
    const advice = words.advice(found);
    if (this.#liveSinceMs) this.#close([advice.title, ...this.#summary()].join(" · "));
    this.#hint.hide();
    this.#trouble.show(
      advice,
      () => this.#start(this.#isTypeOnly),
      () => this.#start(true),
    );
  }

  #close(lastLine: string): void {
    this.#mute(false);
    this.#stage.listenToAgent(undefined);
    this.#stage.listenToYou(undefined);
    this.#hint.hide();
    const open = this.#transcript.close();
    this.#view.show([...open, this.#transcript.note(lastLine)]);
    this.#console.setCopyable(true);
  }

  #summary(): string[] {
    if (!this.#liveSinceMs) return [];
    const lasted = clock((performance.now() - this.#liveSinceMs) / 1000);
    this.#console.showTime(lasted);
    if (!this.#replies.length) return [lasted];
    const count = this.#replies.length;
    return [lasted, `${count} ${count === 1 ? "reply" : "replies"}, typically after ${seconds(median(this.#replies))}`];
  }

  // ── what is shown ──────────────────────────────────────────────────────────

  #showAgent(agent: Agent): void {
    const title = agent.title || agent.name;
    this.#view.agentName = title;
    this.#stage.showAgent(title);
    this.#console.showAgent(agent, title);
  }

  #showState(): void {
    this.#console.showState(this.#client.state, this.phase, this.#isTypeOnly);
  }

  #tick(isRunning: boolean): void {
    if (!isRunning) {
      clearInterval(this.#ticking);
      this.#ticking = 0;
    } else if (!this.#ticking) {
      this.#ticking = window.setInterval(() => this.#second(), 1000);
    }
  }

  #second(): void {
    if (!this.#liveSinceMs) return;
    const lastedS = (performance.now() - this.#liveSinceMs) / 1000;
    this.#console.showTime(clock(lastedS));
    const isDead = !this.#stage.hasHeardYou && !this.#client.isMuted && !this.#isTypeOnly;
    if (!isDead) this.#hint.hide(words.NO_SOUND);
    else if (lastedS >= SILENT_MICROPHONE_S && !this.#hasToldOfSilence) {
      this.#hasToldOfSilence = true;
      this.#hint.show(words.NO_SOUND);
    }
  }
}
