/** The conversation as a list, built from events; what is shown is made from this and only this. */

import type { ParleyEvent, Stages } from "../client/events.ts";

export interface UserEntry {
  kind: "user";
  id: number;
  text: string;
  isFinal: boolean;
  /** Typed, and the server has not confirmed it yet. */
  isTyped: boolean;
  isWaiting: boolean;
}

export interface ToolUse {
  id: string;
  name: string;
  state: "running" | "done" | "failed";
  afterMs: number;
  error: string;
}

export type Part = { text: string } | { tool: ToolUse };

export interface AgentEntry {
  kind: "agent";
  id: number;
  parts: Part[];
  /** How much of the text was heard, in characters; -1 when all of it was, or nobody knows. */
  heardChars: number;
  isInterrupted: boolean;
  isOver: boolean;
  stages: Stages;
}

export interface NoteEntry {
  kind: "note";
  id: number;
  text: string;
  tone: "plain" | "warning";
}

export type Entry = UserEntry | AgentEntry | NoteEntry;

export class Transcript {
  readonly entries: Entry[] = [];
  #nextId = 1;
  /** Whether the caller's next words belong to a new turn. */
  #isNewUserTurn = true;

  /** Takes one event in; returns the entries that changed. */
  apply(event: ParleyEvent): Entry[] {
    switch (event.event) {
      case "user_speech_started":
        this.#isNewUserTurn = this.#isNewUserTurn || this.#openUser()?.isFinal !== false;
        return [];
      case "user_transcript":
        return this.#heardUser(event.text, event.final);
      case "agent_text":
        return [this.#agentSaid(event.text)];
      case "turn_ended":
        return this.#turnEnded(event.stages, event.interrupted, event.heard);
      case "tool_started":
        return [this.#toolStarted(event.tool_call_id, event.tool)];
      case "tool_ended":
        return this.#toolEnded(event.tool_call_id, event.after_ms, event.error);
      default:
        return [];
    }
  }

  typed(text: string): UserEntry {
    return this.#add({ kind: "user", id: 0, text, isFinal: true, isTyped: true, isWaiting: true });
  }

  note(text: string, tone: NoteEntry["tone"] = "plain"): NoteEntry {
    return this.#add({ kind: "note", id: 0, text, tone });
  }

  /** Nothing more will come: what is open is closed. Returns the entries that changed. */
  close(): Entry[] {
    const open = this.entries.filter(
      (entry) => (entry.kind === "agent" && !entry.isOver) || (entry.kind === "user" && !entry.isFinal),
    );
    for (const entry of open) {
      if (entry.kind === "agent") entry.isOver = true;
      if (entry.kind === "user") entry.isFinal = true;
    }
    this.#isNewUserTurn = true;
    return open;
  }

  /** The conversation as plain text, for the clipboard. */
  toText(agentName: string): string {
    return this.entries
      .map((entry) => {
        if (entry.kind === "note") return `(${entry.text})`;
        if (entry.kind === "user") return `You: ${entry.text}`;
        return `${agentName}: ${textOf(entry)}${entry.isInterrupted ? " (interrupted)" : ""}`;
      })
      .join("\n");
  }

  #add<E extends Entry>(entry: E): E {
    entry.id = this.#nextId++;
    this.entries.push(entry);
    return entry;
  }

  #openUser(): UserEntry | undefined {
    return this.entries.findLast((entry) => entry.kind === "user" && !entry.isTyped) as UserEntry | undefined;
  }

  #heardUser(text: string, isFinal: boolean): Entry[] {
    const typed = this.entries.find(
      (entry) => entry.kind === "user" && entry.isWaiting && entry.text.trim() === text.trim(),
    ) as UserEntry | undefined;
    if (isFinal && typed) {
      typed.isWaiting = false;
      return [typed];
    }
    const open = this.#openUser();
    if (!text.trim() && (!open || open.isFinal)) return [];
    const entry =
      open && !open.isFinal && !this.#isNewUserTurn
        ? open
        : this.#add({ kind: "user", id: 0, text, isFinal, isTyped: false, isWaiting: false });
    entry.text = text;
    entry.isFinal = isFinal;
    this.#isNewUserTurn = isFinal;
    return [entry];
  }

  /** The reply that is being made: the last thing said, unless it is finished. */
  #openReply(): AgentEntry {
    const last = this.entries.findLast((entry) => entry.kind !== "note");
    if (last?.kind === "agent" && !last.isOver) return last;
    return this.#add({
      kind: "agent", id: 0, parts: [], heardChars: -1, isInterrupted: false, isOver: false, stages: {},
    });
  }

  #agentSaid(text: string): AgentEntry {
    const reply = this.#openReply();
    const last = reply.parts.at(-1);
    if (last && "text" in last) last.text = join(last.text, text);
    else reply.parts.push({ text });
    return reply;
  }

  #toolStarted(id: string, name: string): AgentEntry {
    const reply = this.#openReply();
    reply.parts.push({ tool: { id, name, state: "running", afterMs: 0, error: "" } });
    return reply;
  }

  #toolEnded(id: string, afterMs: number, error: string): Entry[] {
    for (const entry of this.entries) {
      if (entry.kind !== "agent") continue;
      for (const part of entry.parts) {
        if (!("tool" in part) || part.tool.id !== id) continue;
        Object.assign(part.tool, { state: error ? "failed" : "done", afterMs, error });
        return [entry];
      }
    }
    return [];
  }

  #turnEnded(stages: Stages, isInterrupted: boolean, heard: string): Entry[] {
    const open = this.entries.filter((entry) => entry.kind === "agent" && !entry.isOver) as AgentEntry[];
    for (const reply of open) reply.isOver = true;
    const reply = open.at(-1);
    if (!reply) return [];
    reply.stages = stages;
    reply.isInterrupted = isInterrupted;
    reply.heardChars = isInterrupted ? charsHeard(textOf(reply), heard) : -1;
    return open;
  }
}

export function textOf(entry: AgentEntry): string {
  return entry.parts.reduce((text, part) => ("text" in part ? join(text, part.text) : text), "");
}

/**
 * Puts two pieces of text together. A model's pieces bring their own spaces; whole sentences
 * that are said one after the other don't.
 */
export function join(before: string, after: string): string {
  const needsSpace = /[.!?…:;,]["'”’)]?$/.test(before) && /^["'“‘(]?\p{L}/u.test(after);
  return needsSpace ? `${before} ${after}` : before + after;
}

/**
 * How many characters of `text` were heard. Only the spacing may differ between the two;
 * where they part, hearing ended. Everything counts as heard when they have nothing in common.
 */
export function charsHeard(text: string, heard: string): number {
  let at = 0;
  let common = 0;
  for (const char of heard) {
    if (/\s/.test(char)) continue;
    while (at < text.length && /\s/.test(text[at]!)) at += 1;
    if (!text.startsWith(char, at)) break;
    at += char.length;
    common += 1;
  }
  return common === 0 && heard.trim() ? text.length : at;
}
