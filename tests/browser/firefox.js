// Firefox by its Marionette protocol, as far as these tests go; its documentation is at
// https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
// Frames are `LENGTH:JSON`; a command is `[0, id, name, parameters]`, its answer `[1, id, error, result]`.

'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');

const PREFERENCES = {
  // The operating system chooses, and the profile says which.
  'marionette.port': 0,
  // Whatever is not for us goes to where nobody listens.
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
  'network.proxy.no_proxies_on': 'localhost, 127.0.0.1, .test, .localhost',
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'dom.security.https_first': false,
  // All attacks at once.
  'network.http.max-persistent-connections-per-server': 30,
  // A page that a person clicked in may do these; nobody clicks here.
  'dom.disable_open_during_load': false,
  'dom.popup_maximum': 1000,
  // A page whose timers count seconds because others are in front of it would take minutes.
  'browser.tabs.loadDivertedInBackground': true,
  'dom.min_background_timeout_value': 4,
  'dom.min_background_timeout_value_without_budget_throttling': 4,
  'dom.timeout.enable_budget_timer_throttling': false,
  'browser.download.useDownloadDir': true,
  'browser.download.alwaysOpenPanel': false,
  'toolkit.cosmeticAnimations.enabled': false,
};

class Marionette {
  constructor(socket) {
    this.socket = socket;
    this.rest = Buffer.alloc(0);
    this.waiting = new Map();
    this.last = 0;
    socket.on('data', data => this.hear(data));
    socket.on('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('Firefox is gone'));
    });
    socket.on('error', () => {});
  }

  hear(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (;;) {
      const colon = this.rest.indexOf(':');
      const end = colon + 1 + Number(this.rest.subarray(0, Math.max(colon, 0)));
      if (colon < 0 || this.rest.length < end) return;
      const message = JSON.parse(this.rest.subarray(colon + 1, end));
      this.rest = this.rest.subarray(end);
      // The first is a greeting.
      if (!Array.isArray(message)) continue;
      const [, id, error, result] = message;
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      error ? reject(new Error(`${error.error}: ${error.message}`)) : resolve(result);
    }
  }

  send(name, parameters = {}) {
    const message = JSON.stringify([0, ++this.last, name, parameters]);
    this.socket.write(`${Buffer.byteLength(message)}:${message}`);
    return new Promise((resolve, reject) => this.waiting.set(this.last, { resolve, reject }));
  }
}

async function until(what, attempt) {
  for (let time = 0; time < 200; time++) {
    const outcome = attempt();
    if (outcome) return outcome;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  throw new Error(`waited for ${what}`);
}

// Starts it, with a profile of its own, which goes with it. These names lead to this machine.
async function launch(binary, names) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'sockjs-firefox-'));
  const preferences = {
    ...PREFERENCES, 'network.dns.localDomains': names.join(','), 'browser.download.dir': profile,
    'browser.download.folderList': 2,
  };
  const lines = Object.entries(preferences).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  fs.writeFileSync(path.join(profile, 'user.js'), lines.join(''));
  const child = spawn(binary, ['--marionette', '--headless', '--no-remote', '--profile', profile], {
    stdio: 'ignore',
    env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' },
    // A group of its own, since it starts processes of its own.
    detached: true,
  });
  let ended = false;
  child.on('exit', () => { ended = true; });
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {}
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
  };
  process.on('exit', kill);
  const port = await until('Firefox', () => {
    if (ended) throw new Error('Firefox ended');
    const file = path.join(profile, 'MarionetteActivePort');
    return fs.existsSync(file) && Number(fs.readFileSync(file, 'utf8'));
  });
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const marionette = new Marionette(socket);
  const { capabilities } = await marionette.send('WebDriver:NewSession', { pageLoadStrategy: 'normal' });
  await marionette.send('WebDriver:SetTimeouts', { script: 60_000, pageLoad: 20_000 });
  const { value: first } = await marionette.send('WebDriver:GetWindowHandle');

  // One page at a time: commands go to the window that was switched to.
  return {
    version: `Firefox ${capabilities.browserVersion}`,
    async open(url) {
      await marionette.send('WebDriver:Navigate', { url });
      return {
        async evaluate(work, argument) {
          const script = `const done = arguments[arguments.length - 1];
            (async () => (${work})(arguments[0]))().then(
              value => done({ value }), error => done({ error: String(error) }));`;
          const answer = await marionette.send('WebDriver:ExecuteAsyncScript', { script, args: [argument] });
          if (answer.value.error) throw new Error(answer.value.error);
          return answer.value.value;
        },
        // With every window that it opened, some of which close by themselves meanwhile.
        async close() {
          const handles = await marionette.send('WebDriver:GetWindowHandles');
          for (const handle of handles.filter(handle => handle !== first)) {
            try {
              await marionette.send('WebDriver:SwitchToWindow', { handle });
              await marionette.send('WebDriver:CloseWindow');
            } catch (error) {
              if (!/no such window/.test(error.message)) throw error;
            }
          }
          await marionette.send('WebDriver:SwitchToWindow', { handle: first });
          await marionette.send('WebDriver:Navigate', { url: 'about:blank' });
        },
      };
    },
    async close() {
      marionette.send('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
      if (!ended) await Promise.race([once(child, 'exit'), new Promise(resolve => setTimeout(resolve, 3000))]);
      process.off('exit', kill);
      kill();
    },
  };
}

module.exports = { launch };
