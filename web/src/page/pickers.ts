/** The choices: agent, voice, microphone, speaker. Each is remembered for the next visit. */

import type { Agent, Voice } from "../client/signalling.ts";
import { element, make } from "./elements.ts";
import { recall, remember } from "./memory.ts";

export class AgentPicker {
  readonly #select = element("agent", HTMLSelectElement);
  readonly #voice = element("voice", HTMLSelectElement);
  #agents: Agent[] = [];
  onAgent: (agent: Agent) => void = () => undefined;
  onVoice: (voice: string, name: string) => void = () => undefined;

  constructor() {
    this.#select.addEventListener("change", () => {
      remember("agent", this.#select.value);
      this.#changed();
    });
    this.#voice.addEventListener("change", () => {
      const agent = this.agent;
      if (agent) remember(`voice.${agent.name}`, this.#voice.value);
      this.onVoice(this.#voice.value, this.#voice.selectedOptions[0]?.textContent ?? "");
    });
  }

  get agent(): Agent | undefined {
    return this.#agents.find(({ name }) => name === this.#select.value);
  }

  /** The voice that was chosen; empty when it is the agent's own. */
  get voice(): string {
    return this.#voice.value === this.agent?.voice ? "" : this.#voice.value;
  }

  /** An address with `?agent=…` wins over memory, and memory over the server's default. */
  fill(agents: Agent[]): void {
    this.#agents = agents;
    this.#select.replaceChildren(...agents.map(({ name, title }) => new Option(title || name, name)));
    const asked = [new URLSearchParams(location.search).get("agent"), recall("agent")];
    const chosen =
      asked.map((wanted) => agents.find(({ name }) => name === wanted)).find(Boolean) ??
      agents.find((agent) => agent.is_default) ??
      agents[0];
    if (chosen) this.#select.value = chosen.name;
    this.#changed();
  }

  setLocked(isLocked: boolean): void {
    this.#select.disabled = isLocked || this.#agents.length < 2;
  }

  #changed(): void {
    const agent = this.agent;
    this.setLocked(false);
    if (!agent) return;
    this.#fillVoices(agent);
    this.onAgent(agent);
  }

  #fillVoices(agent: Agent): void {
    this.#voice.replaceChildren(...voiceGroups(agent.voices));
    if (!agent.voices.length) this.#voice.append(new Option("The agent’s own", agent.voice));
    const wanted = recall(`voice.${agent.name}`);
    const isThere = agent.voices.some(({ id }) => id === wanted);
    this.#voice.value = isThere ? wanted : agent.voice;
    // The agent's voice may be missing from the engine's list.
    if (this.#voice.selectedIndex < 0) {
      this.#voice.prepend(new Option(agent.voice || "The agent’s own", agent.voice));
      this.#voice.selectedIndex = 0;
    }
    this.#voice.disabled = agent.voices.length < 2;
  }
}

/** Voices by language, when there are several: the caller's own first, then by name. */
function voiceGroups(voices: Voice[]): HTMLElement[] {
  const groups = new Map<string, HTMLOptionElement[]>();
  for (const { id, name, language } of voices) {
    const base = language.split("-")[0] ?? "";
    groups.set(base, [...(groups.get(base) ?? []), new Option(name || id, id)]);
  }
  if (groups.size < 2) return [...groups.values()].flat();
  const own = navigator.language.split("-")[0];
  const rank = (base: string) => (base === own ? 0 : base === "en" ? 1 : 2);
  return [...groups]
    .map(([base, options]) => {
      const group = make("optgroup");
      group.label = languageName(base);
      group.append(...options);
      return { group, rank: rank(base) };
    })
    .sort((a, b) => a.rank - b.rank || a.group.label.localeCompare(b.group.label))
    .map(({ group }) => group);
}

function languageName(tag: string): string {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag || "Other";
  }
}

export class DevicePicker {
  readonly #microphone = element("microphone", HTMLSelectElement);
  readonly #speaker = element("speaker", HTMLSelectElement);
  readonly #audio: HTMLAudioElement;
  onMicrophone: (deviceId: string) => void = () => undefined;

  constructor(audio: HTMLAudioElement) {
    this.#audio = audio;
    this.#microphone.addEventListener("change", () => {
      remember("microphone", this.#microphone.value);
      this.onMicrophone(this.#microphone.value);
    });
    this.#speaker.addEventListener("change", () => {
      remember("speaker", this.#speaker.value);
      void this.#useSpeaker();
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh());
  }

  get microphoneId(): string {
    // Before the microphone is allowed, browsers hide the devices that memory knows.
    return this.#microphone.value || recall("microphone");
  }

  /** Reads the list again; names appear only once the microphone has been allowed. */
  async refresh(openDeviceId = ""): Promise<void> {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const wanted = (this.microphoneId && openDeviceId) || this.microphoneId;
    fillDevices(this.#microphone, devices, "audioinput", "System default", wanted);
    if (!canChooseSpeaker()) {
      this.#speaker.replaceChildren(new Option("Chosen by your system", ""));
      this.#speaker.disabled = true;
      return;
    }
    const speaker = this.#speaker.value || recall("speaker");
    fillDevices(this.#speaker, devices, "audiooutput", "System default", speaker);
    await this.#useSpeaker();
  }

  async #useSpeaker(): Promise<void> {
    if (!canChooseSpeaker() || this.#audio.sinkId === this.#speaker.value) return;
    try {
      await this.#audio.setSinkId(this.#speaker.value);
    } catch {
      this.#speaker.value = "";
    }
  }
}

function canChooseSpeaker(): boolean {
  return "setSinkId" in HTMLMediaElement.prototype;
}

function fillDevices(
  select: HTMLSelectElement,
  devices: MediaDeviceInfo[],
  kind: MediaDeviceKind,
  systemChoice: string,
  wanted: string,
): void {
  const named = devices.filter(
    (device) =>
      device.kind === kind && device.label && !["", "default", "communications"].includes(device.deviceId),
  );
  select.replaceChildren(
    new Option(systemChoice, ""),
    ...named.map(({ label, deviceId }) => new Option(label, deviceId)),
  );
  select.value = named.some(({ deviceId }) => deviceId === wanted) ? wanted : "";
}
