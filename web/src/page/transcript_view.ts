/** Shows the conversation, and tells a screen reader each line once it is complete. */

import { element, make } from "./elements.ts";
import { LatencyChip } from "./latency_chip.ts";
import { seconds } from "./latency.ts";
import { join, textOf, type AgentEntry, type Entry, type ToolUse, type UserEntry } from "./transcript.ts";
import { toolName } from "./words.ts";

const NEAR_END_PX = 80;

interface Line {
  row: HTMLLIElement;
  said: HTMLElement;
  chip?: LatencyChip;
}

export class TranscriptView {
  readonly #list = element("transcript", HTMLOListElement);
  readonly #scroll = element("scroll", HTMLDivElement);
  readonly #empty = element("empty", HTMLDivElement);
  readonly #spoken = element("spoken", HTMLDivElement);
  readonly #lines = new Map<number, Line>();
  readonly #told = new Set<number>();
  agentName = "Agent";
  isAnnouncing = true;

  clear(): void {
    this.#list.replaceChildren();
    this.#spoken.replaceChildren();
    this.#lines.clear();
    this.#told.clear();
    this.#empty.hidden = false;
  }

  show(entries: Entry[]): void {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    const wasAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    for (const entry of entries) {
      this.#draw(entry, this.#lines.get(entry.id) ?? this.#addLine(entry));
      this.#tell(entry);
    }
    this.#empty.hidden = this.#lines.size > 0;
    if (wasAtEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #addLine(entry: Entry): Line {
    const row = make("li", `line line-${entry.kind}`);
    const said = make("p", "said");
    const line: Line = { row, said };
    if (entry.kind === "note") {
      row.append(said);
      said.className = "";
    } else {
      const speaker = make("span", "speaker");
      speaker.append(make("span", "", entry.kind === "user" ? "You" : this.agentName));
      speaker.append(make("span", "sr-only", ": "));
      row.append(speaker, said);
    }
    this.#lines.set(entry.id, line);
    this.#list.append(row);
    return line;
  }

  #draw(entry: Entry, line: Line): void {
    switch (entry.kind) {
      case "note":
        line.said.textContent = entry.text;
        line.row.classList.toggle("is-warning", entry.tone === "warning");
        break;
      case "user":
        drawUser(entry, line);
        break;
      case "agent":
        this.#drawAgent(entry, line);
    }
  }

  #drawAgent(entry: AgentEntry, line: Line): void {
    line.said.replaceChildren(...agentNodes(entry));
    const isAnswered = entry.isOver && entry.stages.reply_ms !== undefined;
    if (!isAnswered || line.chip) return;
    line.chip = new LatencyChip(entry.stages, this.#scroll);
    line.row.append(line.chip.root);
  }

  #tell(entry: Entry): void {
    const isComplete = entry.kind === "note" || (entry.kind === "user" ? entry.isFinal : entry.isOver);
    if (!isComplete || !this.isAnnouncing || this.#told.has(entry.id)) return;
    this.#told.add(entry.id);
    const who = entry.kind === "note" ? "" : entry.kind === "user" ? "You: " : `${this.agentName}: `;
    const what = entry.kind === "agent" ? textOf(entry) : entry.text;
    const end = entry.kind === "agent" && entry.isInterrupted ? " (interrupted)" : "";
    this.#spoken.append(make("p", "", `${who}${what}${end}`));
    while (this.#spoken.childElementCount > 20) this.#spoken.firstElementChild?.remove();
  }
}

function drawUser(entry: UserEntry, line: Line): void {
  line.said.textContent = entry.text;
  line.row.classList.toggle("is-partial", !entry.isFinal);
  line.row.classList.toggle("is-waiting", entry.isWaiting);
}

function agentNodes(entry: AgentEntry): Node[] {
  const nodes: Node[] = [];
  const heard = entry.heardChars < 0 ? Infinity : entry.heardChars;
  let text = "";
  for (const part of entry.parts) {
    if ("tool" in part) {
      nodes.push(toolTag(part.tool));
      continue;
    }
    const longer = join(text, part.text);
    const heardHere = longer.slice(text.length, heard);
    const unheardHere = longer.slice(Math.max(text.length, heard));
    // A tag brings its own space.
    const isAfterTag = nodes.at(-1) instanceof HTMLElement;
    if (heardHere) nodes.push(new Text(isAfterTag ? heardHere.trimStart() : heardHere));
    if (unheardHere.trim()) nodes.push(new Text(" "), unheard(unheardHere.trim()));
    text = longer;
  }
  if (entry.isInterrupted) nodes.push(make("span", "tag", "Interrupted"));
  return nodes;
}

function unheard(text: string): HTMLElement {
  const span = make("span", "unheard");
  span.append(make("span", "sr-only", " Not heard: "), text);
  return span;
}

function toolTag(tool: ToolUse): HTMLElement {
  const name = toolName(tool.name);
  const words = {
    running: `${name} …`,
    done: `${name} · ${seconds(tool.afterMs)}`,
    failed: `${name} failed`,
  }[tool.state];
  const tag = make("span", "tag tag-tool", words);
  tag.dataset["tool"] = tool.state;
  if (tool.error) tag.title = tool.error;
  return tag;
}
