// Chromium and Firefox, to be told the same things; and patience.

'use strict';

const { chromium } = require('playwright-core');
const firefox = require('./firefox.js');

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const FIREFOX = process.env.FIREFOX || '/usr/bin/firefox-esr';
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
// What a stuck step is given: none takes more than seconds.
const PATIENCE = 20_000;

// Gives up on work that takes too long.
async function within(time, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${time} ms`)), time);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

// Says what was done and how long it took, or what was not.
async function step(name, work) {
  const start = performance.now();
  try {
    await within(PATIENCE, work());
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
  console.log(`${name}: ok (${Math.round(performance.now() - start)} ms)`);
}

// Whatever the console calls an error in any page of this context.
function hearErrors(context) {
  const errors = [];
  context.on('console', message => {
    if (message.type() === 'error') errors.push(`${message.text()} (${message.location().url})`);
  });
  context.on('weberror', error => errors.push(String(error.error())));
  return errors;
}

// Of its own, and removed with the browser. These names lead to this machine; further arguments are given as they are.
function launchChromium(names = [], more = []) {
  const rules = names.map(name => `MAP ${name} 127.0.0.1`).join(', ');
  const args = [...ARGUMENTS, ...more, ...(names.length ? [`--host-resolver-rules=${rules}`] : [])];
  return chromium.launch({ executablePath: CHROMIUM, args, timeout: PATIENCE });
}

// One page at a time, and one place for all cookies.
async function pagesOfChromium(names) {
  const browser = await launchChromium(names);
  const context = await browser.newContext({ acceptDownloads: false });
  return {
    version: `Chromium ${browser.version()}`,
    async open(url) {
      const page = await context.newPage();
      await page.goto(url);
      return {
        evaluate: (work, argument) => page.evaluate(work, argument),
        // With every window that it opened.
        close: () => Promise.all(context.pages().map(each => each.close())),
      };
    },
    close: () => browser.close(),
  };
}

const launchers = {
  chromium: { binary: CHROMIUM, launch: pagesOfChromium },
  firefox: { binary: FIREFOX, launch: names => firefox.launch(FIREFOX, names) },
};

module.exports = { CHROMIUM, PATIENCE, within, step, hearErrors, launchChromium, launchers };
