// Chromium against this server over TLS:
//
//     node secure.js SECURE_URL SPKI LIBRARY COUNT
//
// SECURE_URL is the server, whose endpoints include `/echo` and `/close`; SPKI the hash of its public key, which the browser is
// told to accept; LIBRARY the client. COUNT echoes over every transport, from a page of another origin, and `wss` without a client.

'use strict';

const assert = require('node:assert');
const { PATIENCE, within, launchChromium } = require('./browsers.js');
const { startPages } = require('./servers.js');
const transports = require('./transports.js');

const COUNT = Number(process.argv[5]);
const RUN = 165_000;

// Binary messages of all sizes up to a mebibyte, there and back.
function rawEchoes(url) {
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 1 << 20];
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const bytes = number => new Uint8Array(sizes[number]).map((_, place) => (place + number) % 251);
    let received = 0;
    socket.onopen = () => sizes.forEach((_, number) => socket.send(bytes(number)));
    socket.onmessage = ({ data }) => {
      const [seen, wanted] = [new Uint8Array(data), bytes(received)];
      if (seen.length !== wanted.length || seen.some((byte, place) => byte !== wanted[place])) {
        reject(new Error(`message ${received}`));
      }
      received++;
      if (received === sizes.length) socket.close(1000);
    };
    socket.onclose = ({ code, wasClean }) => resolve({ received, code, wasClean });
  });
}

async function main(base, spki, library) {
  const browser = await launchChromium([], [`--ignore-certificate-errors-spki-list=${spki}`]);
  const pages = await startPages(library);
  try {
    const page = await (await browser.newContext()).newPage();
    await page.goto(pages.url);
    await page.evaluate(count => { COUNT = count; }, COUNT);
    for (const transport of transports.CROSS_ORIGIN) {
      await within(PATIENCE, transports.echoes(page, base, transport, COUNT));
      await within(PATIENCE, transports.goesAway(page, base, transport));
      console.log(`https, ${transport}, ${COUNT} echoes and a close: ok`);
    }
    const raw = page.evaluate(rawEchoes, `${base.replace('https', 'wss')}/echo/websocket`);
    assert.deepStrictEqual(await within(PATIENCE, raw), { received: 8, code: 1000, wasClean: true });
    console.log('wss, binary messages up to 1 MiB: ok');
  } finally {
    pages.stop();
    await browser.close();
  }
}

const [base, spki, library] = process.argv.slice(2);
within(RUN, main(base, spki, library)).then(
  () => process.exit(0),
  error => {
    console.error(error);
    process.exit(1);
  },
);
