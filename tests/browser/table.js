// The page of `sockjs-echo` tries every transport, in Chromium or Firefox:
//
//     node table.js BROWSER SOCKJS_ECHO
//
// BROWSER is `chromium` or `firefox`, which CHROMIUM and FIREFOX may say the place of, and SOCKJS_ECHO is the binary. Exits
// with 0 if all went well, or if there is no such browser.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { within, launchers } = require('./browsers.js');
const { startEcho, startProxy } = require('./servers.js');

const RUN = 110_000;
const TRANSPORTS = [
  'websocket', 'xhr-streaming', 'eventsource', 'iframe-eventsource', 'htmlfile', 'iframe-htmlfile', 'xhr-polling',
  'iframe-xhr-polling', 'jsonp-polling', 'raw WebSocket',
];
// Chromium gives each origin an agent of its own, in which a page of scripts that sets `document.domain` stays within reach.
const NOT_HTMLFILE = { firefox: { htmlfile: /^This browser shuts its page out, since that sets document\.domain/ } };

// Runs in the page: waits for what it does by itself, then for its table.
async function fill() {
  const until = async condition => {
    while (!condition()) await new Promise(resolve => setTimeout(resolve, 20));
  };
  const text = id => document.getElementById(id).textContent;
  await until(() => text('measured') !== '0' || /^closed/.test(text('state')));
  document.getElementById('try').click();
  await until(() => / work\.$/.test(text('progress')));
  const rows = [...document.querySelectorAll('#tries tr')].map(row => {
    const [, opened, echo, trip, close, why] = [...row.cells].map(cell => cell.textContent);
    return [row.querySelector('code').textContent, { opened, echo, trip, close, why }];
  });
  const lines = [...document.querySelectorAll('#log li')];
  return { used: text('used'), progress: text('progress'), rows, last: lines.at(-1).className };
}

// The rows that are expected to fail have a pattern for the reason, all others work.
async function check(page, failing) {
  const { used, progress, rows, last } = await page.evaluate(fill);
  // The page's own connection is quiet behind its first echo, whatever its client had tried before.
  assert.strictEqual(last, 'a');
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, cells] of rows) console.log(`  ${name.padEnd(width)}  ${Object.values(cells).join('  ')}`);
  assert.deepStrictEqual(rows.map(([name]) => name), TRANSPORTS);
  for (const [name, { opened, echo, trip, close, why }] of rows) {
    if (failing[name]) {
      assert.deepStrictEqual([opened, echo, trip], ['✗ no', '✗ 0 of 5', '–'], name);
      assert.match(close, /^(2000 All transports failed|1006 \(no reason\))$/, name);
      assert.match(why, failing[name], name);
    } else {
      assert.match(opened, /^✓ [<\d. ]+ ms$/, name);
      assert.match(trip, /^[<\d. ]+ ms$/, name);
      assert.deepStrictEqual([echo, close, why], ['✓ 5 of 5', '3000 Go away!', ''], name);
    }
  }
  const good = TRANSPORTS.length - Object.keys(failing).length;
  assert.strictEqual(progress, `${good} of ${TRANSPORTS.length} work.`);
  return used;
}

async function visit(browser, url, name, failing) {
  const start = performance.now();
  console.log(`${browser.version}, ${name}`);
  const page = await browser.open(url);
  const used = await check(page, failing);
  await page.close();
  console.log(`  ok (${Math.round(performance.now() - start)} ms)`);
  return used;
}

async function main(name, binary) {
  const launcher = launchers[name];
  if (!fs.existsSync(launcher.binary)) {
    console.log(`skipped: there is no browser at ${launcher.binary}`);
    return;
  }
  const server = await startEcho(binary, require.resolve('sockjs-client/dist/sockjs.min.js'));
  const proxy = await startProxy(server.port, /\/(eventsource|htmlfile)\b/);
  const browser = await launcher.launch([]);
  try {
    assert.strictEqual(await visit(browser, server.url, 'straight', NOT_HTMLFILE[name] ?? {}), 'websocket');
    const upgrade = /^The server is reached, but not by a request to upgrade/;
    const forbidden = what => new RegExp(`^GET /…/${what} gets 403 Forbidden from 1\\.1 proxy\\.test$`);
    const used = await visit(browser, proxy.url, 'through a bad proxy', {
      'websocket': upgrade,
      'raw WebSocket': upgrade,
      'xhr-streaming': /^POST \/…\/xhr_streaming gets nothing in 4 s: a proxy may hold the response back/,
      'eventsource': forbidden('eventsource'),
      'iframe-eventsource': forbidden('eventsource'),
      'htmlfile': forbidden('htmlfile'),
      'iframe-htmlfile': forbidden('htmlfile'),
    });
    // The first that works, of those that the client tries by itself. (On a slow machine it can be the same in an iframe: the
    // client does not stop the timer of a transport that has failed, and cuts off the next one with it.)
    assert.match(used, /xhr-polling$/);
  } finally {
    await browser.close();
    proxy.stop();
    await server.stop();
  }
}

within(RUN, main(...process.argv.slice(2))).then(
  () => process.exit(0),
  error => {
    console.error(error);
    process.exit(1);
  },
);
