// The page of `sockjs-echo` in Chromium:
//
//     node page.js SOCKJS_ECHO [PICTURES]
//
// SOCKJS_ECHO is the binary, and PICTURES a folder for screenshots. Exits with 0 if all went well, or if there is no
// Chromium; CHROMIUM may say where it is.

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { CHROMIUM, PATIENCE, within, step, hearErrors, launchChromium } = require('./browsers.js');
const echoPage = require('./echo_page.js');
const { startEcho } = require('./servers.js');

// What all steps are given: they take half a minute.
const RUN = 165_000;

async function visit(browser, binary, library, pictures) {
  const server = await startEcho(binary, library);
  const context = await browser.newContext();
  const errors = hearErrors(context);
  context.setDefaultTimeout(PATIENCE);
  try {
    const page = await context.newPage();
    await step('page, opened', () => echoPage.open(page, server.url));
    await step('page, first frames', () => echoPage.showsFrames(page));
    await step('page, filter', () => echoPage.filters(page));
    await step('page, keyboard', () => echoPage.worksByKeyboard(page));
    for (const name of await echoPage.transports(page)) {
      await step(`page, ${name}`, () => echoPage.echoes(page, name));
    }
    await page.locator('#transport').selectOption('');
    await step('page, every endpoint', () => echoPage.endpoints(page));
    await page.close();
    await step('page, broadcast to two tabs', () => echoPage.broadcasts(context, server.url));
    await step('page, any frame', () => echoPage.hearsAnyFrame(context, server.url));
    await step('page, copies', () => echoPage.copies(context, server.url, pictures));
    for (const look of echoPage.LOOKS) {
      await step(`page, ${look[0]}, ${look[2]}`, () => echoPage.fits(context, server.url, look, pictures));
    }
    await step('page, without its client', () => echoPage.worksWithoutClient(context, server.url, pictures));
    await step('page, not watched', () => echoPage.worksUnwatched(context, server.url, library));
    await step('page, mixed content', () => echoPage.tellsMixedContent(context, server.url, library));
    await step('page, when the server stops', () => echoPage.seesTheEnd(context, server, pictures));
    assert.deepStrictEqual(errors, []);
  } finally {
    await context.close();
    await server.stop();
  }
}

async function main(binary, pictures) {
  if (!fs.existsSync(CHROMIUM)) {
    console.log(`skipped: there is no Chromium at ${CHROMIUM}; CHROMIUM may name another`);
    return;
  }
  const browser = await launchChromium();
  try {
    await visit(browser, binary, require.resolve('sockjs-client/dist/sockjs.min.js'), pictures);
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
