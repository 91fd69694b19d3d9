// The page of `sockjs-echo` as somebody uses it.

'use strict';

const assert = require('node:assert');
const path = require('node:path');

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const state = (page, text) => page.locator('#state').filter({ hasText: text }).waitFor();
const line = (page, list, text) => page.locator(`#${list} li`).filter({ hasText: text }).first().waitFor();

// Loaded with its client, which is when there is more to choose than raw WebSocket.
async function open(page, base) {
  await page.goto(base);
  await page.locator('#transport option[value=""]:not([disabled])').waitFor({ state: 'attached' });
  assert(await page.locator('#notice').isHidden());
}

// What its list offers: automatic, the nine of the client, and raw WebSocket.
async function transports(page) {
  const names = await page.locator('#transport option').allTextContents();
  assert.strictEqual(names.length, 11);
  return names;
}

// Connects by one of them, sends, and disconnects.
async function echoes(page, name) {
  await page.locator('#clear').click();
  await page.locator('#transport').selectOption({ label: name });
  await page.locator('#connect').click();
  await state(page, /^open$/);
  const used = await page.locator('#used').textContent();
  assert.strictEqual(used, name === 'automatic' ? 'websocket' : name);
  await page.locator('#text').fill('Grüße, \u{1f600} </script>');
  await page.keyboard.press('Enter');
  await line(page, 'log', 'received Grüße, \u{1f600} </script>');
  await page.locator('#send-ten').click();
  await page.locator('#median').filter({ hasText: 'of 11' }).waitFor();
  await page.locator('#connect').click();
  await state(page, /^closed$/);
  assert(await page.locator('#send').isDisabled());
  assert.strictEqual(await page.locator('#log .received').count(), 11);
}

// Two tabs hear each other, by different transports, and what is said after one has left is not lost to the other.
async function chats(context, base) {
  const [ada, bob] = [await context.newPage(), await context.newPage()];
  for (const [page, name, transport] of [[ada, 'Ada', 'websocket'], [bob, 'Bob', 'xhr-streaming']]) {
    await open(page, base);
    await page.locator('#transport').selectOption({ label: transport });
    await page.locator('#name').fill(name);
    await page.locator('#join').click();
    await line(page, 'chat', `You joined by ${transport}.`);
  }
  const say = async (page, text) => {
    await page.locator('#chat-text').fill(text);
    await page.keyboard.press('Enter');
  };
  await say(ada, 'Hello, Bob');
  await line(bob, 'chat', 'Ada:Hello, Bob');
  await line(ada, 'chat', 'Ada:Hello, Bob');
  await say(bob, 'Hello, Ada \u{1f600}');
  await line(ada, 'chat', 'Bob:Hello, Ada \u{1f600}');
  await ada.locator('#join').click();
  await line(ada, 'chat', 'You left.');
  await say(bob, 'Bye');
  await line(bob, 'chat', 'Bob:Bye');
  assert.strictEqual(await ada.locator('#chat li').filter({ hasText: 'Bye' }).count(), 0);
  await Promise.all([ada.close(), bob.close()]);
}

// Nothing sticks out at either size; with a folder, a picture of each for a person to look at.
async function fits(context, base, pictures) {
  const page = await context.newPage();
  for (const [name, size, scheme] of [
    ['desktop', DESKTOP, 'light'], ['desktop', DESKTOP, 'dark'], ['phone', PHONE, 'light'], ['phone', PHONE, 'dark'],
  ]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme: scheme });
    await open(page, base);
    const picture = async moment => {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert(wide <= 0, `${wide} px too wide on a ${name}, ${moment}`);
      if (!pictures) return;
      await page.screenshot({ path: path.join(pictures, `${name}-${scheme}-${moment}.png`), fullPage: true });
    };
    await picture('fresh');
    await page.locator('#connect').click();
    await state(page, /^open$/);
    await page.locator('#text').fill('x'.repeat(1000));
    await page.locator('#send-ten').click();
    await page.locator('#median').filter({ hasText: 'of 10' }).waitFor();
    await page.locator('#text').fill('Grüße, \u{1f600}');
    await page.locator('#send').click();
    await line(page, 'log', 'received Grüße');
    await page.locator('#join').click();
    await line(page, 'chat', 'You joined');
    for (const text of ['Hello', 'w'.repeat(200), 'Good\u00a0bye']) {
      await page.locator('#chat-text').fill(text);
      await page.locator('#chat-send').click();
      await line(page, 'chat', text);
    }
    await picture('used');
  }
  await page.close();
}

// The library cannot be had: the page says so, and raw WebSocket still works.
async function worksWithoutClient(context, base, pictures) {
  const page = await context.newPage();
  await page.route('**/sockjs-client.js', route => route.fulfill({ contentType: 'application/javascript', body: '' }));
  await page.goto(base);
  await page.locator('#notice').waitFor({ state: 'visible' });
  assert.strictEqual(await page.locator('#client-url').textContent(), `${base}/sockjs-client.js`);
  if (pictures) await page.screenshot({ path: path.join(pictures, 'without-client.png'), fullPage: true });
  await page.locator('#connect').click();
  await state(page, /^open$/);
  assert.strictEqual(await page.locator('#used').textContent(), 'raw WebSocket');
  await page.close();
}

// The server stops: both halves of the page say so, and can be used for another try.
async function seesTheEnd(context, server, pictures) {
  const page = await context.newPage();
  await open(page, server.url);
  await page.locator('#connect').click();
  await state(page, /^open$/);
  await page.locator('#join').click();
  await line(page, 'chat', 'You joined by websocket.');
  await server.stop();
  await state(page, 'closed: 1001 Server shutdown');
  await line(page, 'log', 'closed: 1001 Server shutdown');
  await line(page, 'chat', 'Connection closed: 1001 Server shutdown');
  if (pictures) await page.screenshot({ path: path.join(pictures, 'stopped.png'), fullPage: true });
  for (const [id, text] of [['connect', 'Connect'], ['join', 'Join']]) {
    assert.strictEqual(await page.locator(`#${id}`).textContent(), text);
    assert(await page.locator(`#${id}`).isEnabled());
  }
  await page.close();
}

module.exports = { open, transports, echoes, chats, fits, worksWithoutClient, seesTheEnd };
