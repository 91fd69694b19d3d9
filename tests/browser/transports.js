// Each transport that Chromium can drive, by a page from another origin.

'use strict';

const assert = require('node:assert');

// All that work across origins. `htmlfile` alone does not: its page calls into the page that holds it.
const CROSS_ORIGIN = [
  'websocket', 'xhr-streaming', 'eventsource', 'iframe-eventsource', 'iframe-htmlfile', 'xhr-polling',
  'iframe-xhr-polling', 'jsonp-polling',
];

const DONE = { opens: 1, messages: 200, wrong: null, code: 1000, reason: 'Done', wasClean: true };
const GONE = { opens: 1, messages: 0, wrong: null, code: 3000, reason: 'Go away!', wasClean: true };
const ALIVE = { ...GONE, heartbeats: 3, code: 1000, reason: 'Alive' };

// There and back, in order and unchanged, and a close by the page.
async function echoes(page, base, transport, messages = DONE.messages) {
  const { heartbeats, ...end } = await page.evaluate(([url, name]) => echo(url, [name]), [`${base}/echo`, transport]);
  assert.deepStrictEqual(end, { ...DONE, messages, transport });
}

// Section 7.5: the close of the server, with its code and reason.
async function goesAway(page, base, transport) {
  const { heartbeats, ...end } = await page.evaluate(([url, name]) => listen(url, [name]), [`${base}/close`, transport]);
  assert.deepStrictEqual(end, { ...GONE, transport });
}

// Section 5: an `h` frame when nothing else was sent. Three, so that polling has polled again.
async function beats(page, base, transport) {
  const end = await page.evaluate(([url, name]) => beats(url, [name]), [`${base}/heartbeat`, transport]);
  assert.deepStrictEqual(end, { ...ALIVE, transport });
}

// Section 7.15: a refusal with a close is heard after one attempt, by the page's choice of a transport and by the client's.
async function isRefused(page, base, transport) {
  const attempts = async () => Number(await (await fetch(`${base}/attempts`)).text());
  const before = await attempts();
  const choice = transport && [transport];
  const { heartbeats, ...end } = await page.evaluate(([url, names]) => listen(url, names), [`${base}/refused`, choice]);
  assert.deepStrictEqual(end, { ...GONE, transport: transport ?? 'websocket', code: 4001, reason: 'no token' });
  assert.strictEqual(await attempts() - before, 1);
}

// Where the server cuts its receiver off, the page hears no close: but of a client that comes back, as an EventSource does.
// (Between two polls no receiver is there, so that xhr-polling hears either.)
const CUT = {
  'websocket': [1006, ''],
  'xhr-streaming': [1006, 'permanent'],
  'eventsource': [1002, 'Session terminated'],
};

async function isTerminated(page, base, transport) {
  const { code, reason } = await page.evaluate(([url, name]) => ask(url, [name]), [`${base}/terminate`, transport]);
  assert.deepStrictEqual([code, reason], CUT[transport]);
}

// Section 3: `/info` says that there is no WebSocket, and the client takes the next best.
async function fallsBack(page, base) {
  const { heartbeats, ...end } = await page.evaluate(url => echo(url, null), `${base}/disabled_websocket_echo`);
  assert.deepStrictEqual(end, { ...DONE, transport: 'xhr-streaming' });
}

module.exports = { CROSS_ORIGIN, CUT, echoes, goesAway, beats, isRefused, isTerminated, fallsBack };
