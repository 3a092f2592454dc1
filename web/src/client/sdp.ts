/** What browsers leave out of an offer, and we want in it. */

const OPUS = /^a=rtpmap:(\d+) opus\/48000/i;

/**
 * Asks for lost Opus packets to be sent again.
 *
 * Chromium can do it for audio but never offers it; with this line in the offer it asks the
 * sender for what is missing, which hides nearly all loss on an ordinary line.
 */
export function askForRetransmissions(sdp: string): string {
  const lines = sdp.split("\r\n");
  const offered = new Set(lines);
  const out: string[] = [];
  for (const line of lines) {
    out.push(line);
    const payload = OPUS.exec(line)?.[1];
    const nack = `a=rtcp-fb:${payload} nack`;
    if (payload !== undefined && !offered.has(nack)) out.push(nack);
  }
  return out.join("\r\n");
}
