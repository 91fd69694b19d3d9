// The page of `sockjs-echo` as somebody uses it.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const LOOKS = [
  ['desktop', DESKTOP, 'light'], ['desktop', DESKTOP, 'dark'], ['phone', PHONE, 'light'], ['phone', PHONE, 'dark'],
];
// What the ring of a focused field takes above it: its width and its distance.
const RING = 3;

const state = (page, text) => page.locator('#state').filter({ hasText: text }).waitFor();
// A line of the log of this kind, with this frame.
const frame = (page, kind, text) => page.locator(`#log .${kind}`).filter({ hasText: text }).first();
const seen = (page, kind, text) => frame(page, kind, text).waitFor();
const cell = (line, name) => line.locator(`.${name}`).textContent();
const burst = (page, text) => page.locator('#burst').filter({ hasText: text }).waitFor();

// Loaded with its client, connected by itself, and with its first echo.
async function open(page, base) {
  await page.goto(base);
  await state(page, /^open$/);
  await seen(page, 'a', 'Hello, world');
  assert(await page.locator('#notice').isHidden());
}

// The frames of the first echo beside their messages, with their sizes.
async function showsFrames(page) {
  assert.strictEqual(await page.locator('#used').textContent(), 'websocket');
  await seen(page, 'note', 'GET /echo/info');
  for (const [kind, text, messages, size] of [
    ['o', 'o', 'session open', '1 B'],
    ['sent', '["Hello, world"]', 'Hello, world', '16 B'],
    ['a', 'a["Hello, world"]', 'Hello, world', '17 B'],
  ]) {
    const line = page.locator(`#log .${kind}`);
    assert.strictEqual(await line.count(), 1);
    const cells = [await cell(line, 'frame'), await cell(line, 'messages'), await cell(line, 'size')];
    assert.deepStrictEqual(cells, [text, messages, size]);
    assert.match(await line.locator('time').textContent(), /^\d\d:\d\d:\d\d\.\d\d\d$/);
  }
  assert.strictEqual(await page.locator('#count').inputValue(), '100');
  await page.locator('#measured').filter({ hasText: /^1$/ }).waitFor();
  assert.match(await page.locator('#bars').getAttribute('d'), /^M59\.15 /);
}

// By kind and by text.
async function filters(page) {
  const shown = async () => {
    const kinds = await page.locator('#log li:visible').evaluateAll(lines => lines.map(line => line.className));
    return [...new Set(kinds)].sort();
  };
  assert.deepStrictEqual(await shown(), ['a', 'note', 'o', 'sent']);
  await page.getByLabel('notes').uncheck();
  await page.getByLabel('o open').uncheck();
  assert.deepStrictEqual(await shown(), ['a', 'sent']);
  await page.locator('#search').fill('A["HELLO');
  assert.deepStrictEqual(await shown(), ['a']);
  await page.locator('#search').fill('');
  await page.getByLabel('notes').check();
  await page.getByLabel('o open').check();
  assert.deepStrictEqual(await shown(), ['a', 'note', 'o', 'sent']);
}

// What its list offers: automatic, the nine of the client, and raw WebSocket.
async function transports(page) {
  const names = await page.locator('#transport option').allTextContents();
  assert.strictEqual(names.length, 11);
  return names;
}

// Choosing one of them connects; then it sends one message, some one by one, more at once, and disconnects.
async function echoes(page, name) {
  const isRaw = name === 'raw WebSocket';
  await page.locator('#clear').click();
  await page.locator('#transport').selectOption({ label: name });
  await state(page, /^open$/);
  const used = await page.locator('#used').textContent();
  assert.strictEqual(used, name === 'automatic' ? 'websocket' : name);
  const text = 'Grüße, \u{1f600} </script>';
  await page.locator('#text').fill(text);
  await page.keyboard.press('Enter');
  await seen(page, 'a', isRaw ? text : `a[${JSON.stringify(text)}]`);
  assert.strictEqual(await cell(frame(page, 'a', text), 'messages'), text);
  // The client escapes more than it must.
  const sent = isRaw ? text : JSON.stringify([text]).replace('\u{1f600}', '\\ud83d\\ude00');
  assert.strictEqual(await cell(frame(page, 'sent', text), 'frame'), sent);
  assert.strictEqual(await cell(frame(page, 'sent', text), 'size'), `${Buffer.byteLength(sent)} B`);
  assert.strictEqual(await page.locator('#log .o').count(), isRaw ? 0 : 1);
  // What begins a stream is `h` many times for the client.
  if (name === 'xhr-streaming') await seen(page, 'h', 'h × 2048');
  await page.locator('#count').fill('10');
  await page.locator('#one-by-one').click();
  await burst(page, /^10 of 10 sent one by one, 10 came back in .* ms: 0 lost, 0 reordered\.$/);
  await page.locator('#count').fill('100');
  await page.locator('#at-once').click();
  await burst(page, /^100 of 100 sent at once, 100 came back in .* ms: 0 lost, 0 reordered\.$/);
  await page.locator('#measured').filter({ hasText: /^111$/ }).waitFor();
  await page.locator('#connect').click();
  await state(page, /^closed$/);
  for (const id of ['send', 'at-once', 'one-by-one']) assert(await page.locator(`#${id}`).isDisabled());
}

const choose = (page, endpoint) => page.locator(`#endpoints [value="${endpoint}"]`).check();

// All that the server has, each with a line about it; what each is for, it does.
async function endpoints(page) {
  const names = await page.locator('#endpoints code').allTextContents();
  assert.deepStrictEqual(names, [
    '/echo', '/disabled_websocket_echo', '/cookie_needed_echo', '/close', '/ticker', '/amplify', '/broadcast',
  ]);
  for (const about of await page.locator('#endpoints span').allTextContents()) assert(about.length > 20, about);
  await choose(page, '/disabled_websocket_echo');
  await state(page, /^open$/);
  assert.strictEqual(await page.locator('#used').textContent(), 'xhr-streaming');
  await choose(page, '/cookie_needed_echo');
  await seen(page, 'note', '"cookie_needed":true');
  await state(page, /^open$/);
  await choose(page, '/close');
  await state(page, 'closed: 3000 Go away!');
  await seen(page, 'c', 'c[3000,"Go away!"]');
  assert(await page.locator('#text').isDisabled());
  await choose(page, '/ticker');
  await seen(page, 'a', 'a["tick!"]');
  await choose(page, '/amplify');
  await state(page, /^open$/);
  assert(await page.locator('#at-once').isDisabled());
  await page.locator('#text').fill('10');
  await page.locator('#send').click();
  await seen(page, 'a', '(1024 characters)');
  assert.strictEqual(await cell(frame(page, 'a', '(1024 characters)'), 'size'), '1029 B');
  await choose(page, '/echo');
  await state(page, /^open$/);
}

// Two tabs hear each other, by different transports, and what is said after one has left is not lost to the other.
async function broadcasts(context, base) {
  const [ada, bob] = [await context.newPage(), await context.newPage()];
  for (const [page, transport] of [[ada, 'websocket'], [bob, 'xhr-streaming']]) {
    await open(page, base);
    await page.locator('#transport').selectOption({ label: transport });
    await choose(page, '/broadcast');
    await state(page, /^open$/);
    assert.strictEqual(await page.locator('#used').textContent(), transport);
  }
  const say = async (page, text) => {
    await page.locator('#text').fill(text);
    await page.keyboard.press('Enter');
  };
  await say(ada, 'Hello, Bob');
  await seen(bob, 'a', 'Hello, Bob');
  await seen(ada, 'a', 'Hello, Bob');
  await say(bob, 'Hello, Ada \u{1f600}');
  await seen(ada, 'a', 'Hello, Ada \u{1f600}');
  await ada.locator('#connect').click();
  await seen(ada, 'note', 'Closed by this page');
  await say(bob, 'Bye');
  await seen(bob, 'a', 'Bye');
  assert.strictEqual(await ada.locator('#log li').filter({ hasText: 'Bye' }).count(), 0);
  await Promise.all([ada.close(), bob.close()]);
}

// A server that this test plays: it beats, packs, loses, swaps, and sends what is no frame.
async function hearsAnyFrame(context, base) {
  const page = await context.newPage();
  await page.routeWebSocket('**/websocket', socket => {
    let held = null;
    socket.send('o');
    socket.send('h');
    socket.send('<html>');
    socket.onMessage(text => {
      const [message] = JSON.parse(text);
      const number = Number(/#(\d+) /.exec(message)?.[1]);
      if (number === 2) return;
      if (number === 3) held = message;
      else if (number === 4) socket.send(`a${JSON.stringify([message, held])}`);
      else socket.send(`a${text}`);
      if (number === 5) socket.send('c[4999,"Enough"]');
    });
  });
  await open(page, base);
  await seen(page, 'h', 'heartbeat');
  await seen(page, 'note', 'Not a frame: <html>');
  await page.locator('#count').fill('4');
  await page.locator('#at-once').click();
  // The lost one is given some time.
  await burst(page, /^4 of 4 sent at once, 3 came back in .* ms: 1 lost, 1 reordered \(no other in 4 s\)\.$/);
  const packed = await cell(frame(page, 'a', '#4'), 'messages');
  assert.match(packed, /^\w+ #4 Hello, world\n\w+ #3 Hello, world$/);
  await page.locator('#count').fill('9');
  await page.locator('#at-once').click();
  await state(page, 'closed: 4999 Enough');
  await burst(page, /lost, 1 reordered \(the connection closed\)\.$/);
  await page.close();
}

// The code to copy has the address of this server, and the result of the transports can be copied.
async function copies(context, base, pictures) {
  const page = await context.newPage();
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: base });
  await open(page, base);
  await page.locator('#copy-code').click();
  await page.locator('#copy-code').filter({ hasText: 'Copied' }).waitFor();
  const code = await page.evaluate(() => navigator.clipboard.readText());
  assert(code.startsWith(`<script src="${base}/sockjs-client.js"></script>`), code);
  assert(code.includes(`new SockJS('${base}/echo')`), code);
  assert.strictEqual(await page.locator('#code').textContent(), code);
  assert(await page.locator('#copy-tries').isDisabled());
  await page.locator('#try').click();
  await page.locator('#progress').filter({ hasText: '10 of 10 work.' }).waitFor();
  await page.locator('#copy-tries').click();
  await page.locator('#copy-tries').filter({ hasText: 'Copied' }).waitFor();
  const lines = (await page.evaluate(() => navigator.clipboard.readText())).split('\n');
  assert.match(lines[0], new RegExp(`^Transports to ${base}/echo, 20\\d\\d-`));
  assert.match(lines[2], /^sockjs-client 1\.6\.1$/);
  assert.match(lines[4], /^Transport +Opened +Echo +Round trip +Close +Why not$/);
  for (const line of lines.slice(5, 15)) assert.match(line, / ms +5 of 5 +[\d.<]+ .*3000 Go away!$/);
  if (pictures) await page.locator('#transports').screenshot({ path: path.join(pictures, 'transports.png') });
  await page.close();
}

// By the keyboard alone, with a name for each stop, and a ring that cuts through no label.
async function worksByKeyboard(page) {
  await page.locator('h1').click();
  const stops = [];
  for (let stop = 0; stop < 60; stop++) {
    await page.keyboard.press('Tab');
    const found = await page.evaluate(ring => {
      const element = document.activeElement;
      if (element === document.body) return null;
      const label = element.labels?.[0];
      const isBeside = ['checkbox', 'radio'].includes(element.type);
      const gap = label && !isBeside ? element.getBoundingClientRect().top - label.getBoundingClientRect().bottom : ring;
      const name = element.ariaLabel ?? label?.textContent ?? element.textContent;
      return { name: name.trim(), gap, style: getComputedStyle(element).outlineStyle };
    }, RING);
    if (!found) break;
    assert(found.name, 'a stop without a name');
    assert.strictEqual(found.style, 'solid', found.name);
    assert(found.gap >= RING, `${found.name}: ${found.gap} px`);
    stops.push(found.name);
  }
  for (const name of ['Every transport', 'Disconnect', 'Message', 'Send', 'How many', 'All at once', 'One by one', 'o open',
    'Frames', 'Transport', 'Try every transport', 'Copy', 'Code for your page']) {
    assert(stops.some(stop => stop === name), `${name} is not among ${stops}`);
  }
}

// What axe finds wrong for people who cannot see the page, or not well.
async function isAccessible(page) {
  await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepStrictEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), []);
}

// Nothing sticks out at either size, and all can be read; with a folder, a picture of each for a person to look at.
async function fits(context, base, [name, size, scheme], pictures) {
  const page = await context.newPage();
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: scheme });
  const picture = async (moment, fullPage) => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(wide <= 0, `${wide} px too wide, ${moment}`);
    if (pictures) await page.screenshot({ path: path.join(pictures, `${name}-${scheme}-${moment}.png`), fullPage });
  };
  await open(page, base);
  await picture('first', false);
  await isAccessible(page);
  const high = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.locator('#text').fill('x'.repeat(1000));
  await page.locator('#one-by-one').click();
  await burst(page, '0 lost');
  await page.locator('#text').fill('Grüße, \u{1f600}');
  await page.locator('#send').click();
  await seen(page, 'a', 'a["Grüße');
  // The log scrolls; the page does not grow with it.
  assert(Math.abs(await page.evaluate(() => document.documentElement.scrollHeight) - high) < 50);
  await picture('used', true);
  await page.close();
}

// The library cannot be had: the page says so, and raw WebSocket still works.
async function worksWithoutClient(context, base, pictures) {
  const page = await context.newPage();
  await page.route('**/sockjs-client.js', route => route.fulfill({ contentType: 'application/javascript', body: '' }));
  await page.goto(base);
  await page.locator('#notice').waitFor({ state: 'visible' });
  assert.strictEqual(await page.locator('#client-url').textContent(), `${base}/sockjs-client.js`);
  await state(page, /^open$/);
  assert.strictEqual(await page.locator('#used').textContent(), 'raw WebSocket');
  await seen(page, 'a', 'Hello, world');
  if (pictures) await page.screenshot({ path: path.join(pictures, 'without-client.png') });
  await page.locator('#try').click();
  await page.locator('#progress').filter({ hasText: '1 of 10 work.' }).waitFor();
  await page.close();
}

// A release of the library that keeps its methods to itself is used as well; the page says that it sees no frames.
async function worksUnwatched(context, base, library) {
  const page = await context.newPage();
  const hidden = ';{ const Hidden = window.SockJS; window.SockJS = function (...values) { return new Hidden(...values); }; }';
  const body = fs.readFileSync(library, 'utf8') + hidden;
  await page.route('**/sockjs-client.js', route => route.fulfill({ contentType: 'application/javascript', body }));
  await page.goto(base);
  await seen(page, 'note', 'does not show: Hello, world');
  assert.strictEqual(await page.locator('#used').textContent(), 'websocket');
  await page.locator('#one-by-one').click();
  await burst(page, '100 came back');
  await page.close();
}

// A page from https:// may not use a server at http://, and is told so.
async function tellsMixedContent(context, base, library) {
  const page = await context.newPage();
  const body = await (await fetch(base)).text();
  await page.route('https://page.test/**', route => route.request().url().endsWith('.js')
    ? route.fulfill({ contentType: 'application/javascript', path: library })
    : route.fulfill({ contentType: 'text/html; charset=UTF-8', body }));
  await page.routeWebSocket('wss://page.test/**', socket => socket.close());
  await page.goto('https://page.test/below/');
  assert.strictEqual(await page.locator('#target').inputValue(), 'https://page.test/below/echo');
  await page.locator('#target').fill('http://server.test/echo');
  await page.locator('#try').click();
  await page.locator('#progress').filter({ hasText: '0 of 10 work.' }).waitFor();
  for (const why of await page.locator('#tries .why').allTextContents()) assert.match(why, /^Mixed content: /);
  await page.close();
}

// The server stops: the page says so, and can be used for another try.
async function seesTheEnd(context, server, pictures) {
  const page = await context.newPage();
  await open(page, server.url);
  await server.stop();
  await state(page, 'closed: 1001 Server shutdown');
  await seen(page, 'c', 'c[1001,"Server shutdown"]');
  await seen(page, 'note', 'Closed: 1001 Server shutdown');
  if (pictures) await page.screenshot({ path: path.join(pictures, 'stopped.png'), fullPage: true });
  assert.strictEqual(await page.locator('#connect').textContent(), 'Connect');
  assert(await page.locator('#connect').isEnabled());
  await page.close();
}

module.exports = {
  LOOKS, open, showsFrames, filters, transports, echoes, endpoints, broadcasts, hearsAnyFrame, copies, worksByKeyboard,
  fits, worksWithoutClient, worksUnwatched, tellsMixedContent, seesTheEnd,
};
