// A browser against this server:
//
//     node main.js SOCKJS_ECHO HEARTBEATS
//
// SOCKJS_ECHO is the binary, and HEARTBEATS the URL of a server whose `/heartbeat` has a short delay. Exits with 0 if all
// went well, or if there is no Chromium; CHROMIUM may say where it is.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const esbuild = require('esbuild');
const { CHROMIUM, within, step, hearErrors, launchChromium } = require('./browsers.js');
const { startEcho, startPages } = require('./servers.js');
const transports = require('./transports.js');

// What all steps are given: they take half a minute.
const RUN = 165_000;

// The release that everybody has, and the oldest on npm that is made for browsers: it comes as modules only.
function libraries() {
  const bundle = path.join(__dirname, 'sockjs-beta.js');
  esbuild.buildSync({
    entryPoints: [require.resolve('sockjs-client-beta')],
    outfile: bundle,
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'SockJS',
    define: { global: 'window', 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
  });
  return { '1.6.1': require.resolve('sockjs-client/dist/sockjs.min.js'), '1.0.0-beta.4': bundle };
}

// Every transport with one release of the client, from a page of another origin.
async function drive(browser, binary, version, library) {
  const server = await startEcho(binary, library);
  const pages = await startPages(library);
  const context = await browser.newContext();
  const errors = hearErrors(context);
  const page = await context.newPage();
  try {
    await page.goto(pages.url);
    assert.strictEqual(await page.evaluate(() => SockJS.version), version);
    for (const transport of transports.CROSS_ORIGIN) {
      const name = `${version}, ${transport}`;
      await step(`${name}, 200 echoes`, () => transports.echoes(page, server.url, transport));
      await step(`${name}, close by the server`, () => transports.goesAway(page, server.url, transport));
    }
    await step(`${version}, fallback`, () => transports.fallsBack(page, server.url));
    await visitOrigin(page, server.url, library);
    await step(`${version}, htmlfile, 200 echoes`, () => transports.echoes(page, server.url, 'htmlfile'));
    await step(`${version}, htmlfile, close by the server`, () => transports.goesAway(page, server.url, 'htmlfile'));
    assert.deepStrictEqual(errors, []);
  } finally {
    await context.close();
    pages.stop();
    await server.stop();
  }
}

// One transport, htmlfile, can only be used by a page of the server's own origin: an empty one, which the server does not have.
async function visitOrigin(page, base, library) {
  const empty = { contentType: 'text/html', body: '<!doctype html><link rel="icon" href="data:,">' };
  await page.route(`${base}/empty`, route => route.fulfill(empty));
  await page.goto(`${base}/empty`);
  await page.addScriptTag({ path: library });
  await page.addScriptTag({ path: path.join(__dirname, 'client.js') });
}

async function beat(browser, base, library) {
  const pages = await startPages(library);
  const context = await browser.newContext();
  const errors = hearErrors(context);
  const page = await context.newPage();
  try {
    await page.goto(pages.url);
    for (const transport of transports.CROSS_ORIGIN) {
      await step(`heartbeats, ${transport}`, () => transports.beats(page, base, transport));
    }
    for (const transport of [...transports.CROSS_ORIGIN, null]) {
      await step(`refused, ${transport ?? 'automatic'}`, () => transports.isRefused(page, base, transport));
    }
    await visitOrigin(page, base, library);
    await step('refused, htmlfile', () => transports.isRefused(page, base, 'htmlfile'));
    assert.deepStrictEqual(errors, []);
    // The console calls these errors.
    await page.goto(pages.url);
    for (const transport of Object.keys(transports.CUT)) {
      await step(`terminated, ${transport}`, () => transports.isTerminated(page, base, transport));
    }
  } finally {
    await context.close();
    pages.stop();
  }
}

// A server that stops or dies is a close in the page, over every kind of transport; what replaces it is found again.
async function restart(browser, binary, library) {
  const pages = await startPages(library);
  const context = await browser.newContext();
  const page = await context.newPage();
  let server = await startEcho(binary, library);
  const { url, port } = server;
  try {
    await page.goto(pages.url);
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      for (const transport of ['websocket', 'xhr-streaming', 'eventsource', 'xhr-polling']) {
        await step(`${signal} to the server, ${transport}`, async () => {
          await page.evaluate(() => { window.isOpen = false; });
          const ended = page.evaluate(([base, name]) => listen(`${base}/echo`, [name]), [url, transport]);
          await page.waitForFunction(() => window.isOpen);
          await server.stop(signal);
          // Its port is free again at once (section 12.10). An EventSource does not tell its client that a server is
          // gone: it tries until there is one again, which then does not know the session.
          server = await startEcho(binary, library, port);
          const { opens, code, reason } = await ended;
          assert.strictEqual(opens, 1);
          if (signal === 'SIGTERM') assert.deepStrictEqual([code, reason], [1001, 'Server shutdown']);
          else assert.strictEqual(code, 1006, reason);
          const closes = await page.evaluate(base => reconnect(`${base}/echo`), url);
          assert.deepStrictEqual(closes, []);
        });
      }
    }
  } finally {
    await context.close();
    pages.stop();
    await server.stop();
  }
}

async function main(binary, heartbeats) {
  if (!fs.existsSync(CHROMIUM)) {
    console.log(`skipped: there is no Chromium at ${CHROMIUM}; CHROMIUM may name another`);
    return;
  }
  const [[current, library], [oldest, bundle]] = Object.entries(libraries());
  const browser = await launchChromium();
  try {
    await drive(browser, binary, current, library);
    await drive(browser, binary, oldest, bundle);
    await beat(browser, heartbeats, library);
    await restart(browser, binary, library);
  } finally {
    await browser.close();
  }
}

within(RUN, main(...process.argv.slice(2))).then(
  () => process.exit(0),
  error => {
    console.error(error);
    process.exit(1);
  },
);
