// Runs in a hostile page: the ways in which a page can make a request, and what it can read of the answer.
//
// A way is given a session that nobody has yet and the rest of its line in attacks.js. It leaves what it could read in
// the session, and nothing in the page.

'use strict';

const SECRET = 'the secret';
// What a page has read if it has read from a session: the secret, or any other frame, in whatever wrapping.
const FRAME = /the secret|^o$|\("o"\)|^c\[|"c\[/m;
const INFO = /entropy/;

// An answer that does not end keeps an element loading; an answer that was refused comes at once.
const MOMENT = 400;
// What the released client takes for the answer of an iframe, or for a transport that times out.
const WHILE = 2500;
// A page that sets its domain is of one origin with any other of the same host that does, whatever their ports; where
// browsers still let it.
try {
  document.domain = document.domain;
} catch {}

const sleep = time => new Promise(resolve => setTimeout(resolve, time));
const within = (time, work) => Promise.race([work, sleep(time)]);

// A session that nobody has yet. `read` is what was read from it; its id is also the name of its callback.
function fresh(base) {
  const id = `hostile${Math.random().toString(36).slice(2)}`;
  const session = { id, base, url: `${base}/0/${id}`, read: [] };
  const hear = text => { session.read.push(String(text)); };
  // As jsonp calls it, and as htmlfile does.
  window[id] = Object.assign(hear, { start() {}, message: hear, stop() {} });
  return session;
}

// `/x` is an URL of the session, `x` one of the endpoint.
function address(session, path) {
  const url = path[0] === '/' ? session.url + path : `${session.base}/${path}`;
  return url.replace('CALLBACK', session.id);
}

// What is said to a session that is open already.
let leakedId;
const leaked = ({ base }, path) => `${base}/0/${leakedId}/${path}`;

const payload = session => JSON.stringify([`from ${session.id}`]);

function add(tag, attributes) {
  const element = Object.assign(document.createElement(tag), attributes);
  const settled = new Promise(resolve => {
    for (const event of ['load', 'error', 'loadedmetadata']) element.addEventListener(event, resolve, { once: true });
  });
  document.body.append(element);
  return { element, settled };
}

// What is in a window, if it is of this page's origin.
function look(session, view) {
  try {
    session.read.push(view.document.documentElement.outerHTML);
  } catch {}
}

// Sends a form into a frame, or wherever `target` says.
async function submit(session, url, fields, { method = 'post', enctype = '', target = '' }) {
  const { element: frame, settled } = add('iframe', { name: `frame${session.id}` });
  // An empty frame may have loaded before it is sent anywhere.
  await within(MOMENT, settled);
  const { element: form } = add('form', { action: url, method, target: target || frame.name });
  if (enctype) form.enctype = enctype;
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement('input'), { name, value }));
  }
  const loaded = new Promise(resolve => frame.addEventListener('load', resolve, { once: true }));
  form.submit();
  await within(MOMENT, target ? sleep(MOMENT) : loaded);
  form.remove();
  look(session, frame.contentWindow);
  return frame;
}

const ways = {
  // With CORS. A second request has what the first was too early for.
  async xhr(session, method, path) {
    for (let time = 0; time < 2 && !session.read.join().includes(SECRET); time++) {
      const request = new XMLHttpRequest();
      request.open(method, address(session, path));
      request.withCredentials = true;
      await within(MOMENT, new Promise(resolve => {
        request.onprogress = () => { if (FRAME.test(request.responseText)) resolve(); };
        request.onloadend = resolve;
        request.send(method === 'POST' ? '' : null);
      }));
      session.read.push(request.responseText);
      request.abort();
    }
  },

  async fetch(session, mode, method, path, through = '') {
    const end = new AbortController();
    const options = { mode, method, credentials: 'include', signal: end.signal };
    for (let time = 0; time < 2 && !session.read.join().includes(SECRET); time++) {
      await within(MOMENT, fetch(through + address(session, path), options).then(async answer => {
        const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
        for (let piece; reader && !(piece = await reader.read()).done;) session.read.push(piece.value);
      }).catch(() => {}));
    }
    end.abort();
  },

  async beacon(session, path) {
    navigator.sendBeacon(address(session, path), '');
    await sleep(MOMENT);
  },

  // Whatever loads something. A script that was answered asks again, as a poll does.
  async element(session, tag, attributes, path, through = '') {
    const url = through + address(session, path);
    for (let time = 0; time < 2; time++) {
      const filled = Object.entries(attributes).map(([name, value]) => [name, value === 'URL' ? url : value]);
      const { element, settled } = add(tag, Object.fromEntries(filled));
      await within(MOMENT, settled);
      if (element.contentWindow) look(session, element.contentWindow);
      // What is no longer in the page may go on loading otherwise.
      for (const [name, value] of Object.entries(attributes)) if (value === 'URL') element[name] = '';
      element.remove();
      if (session.read.length !== 1) break;
    }
  },

  async form(session, method, path, fields, enctype, target) {
    const filled = Object.entries(fields).map(([name, value]) => [name, value.replace('CALLBACK', session.id)]);
    const url = address(session, path);
    const frame = await submit(session, url, Object.fromEntries(filled), { method, enctype, target });
    frame.remove();
  },

  // The top of a window of its own.
  async open(session, path, features) {
    const view = open(address(session, path), '_blank', features);
    await sleep(MOMENT);
    look(session, view);
    view?.close();
  },

  // A page that goes elsewhere by itself.
  async navigate(session, path) {
    const view = open('about:blank', '_blank');
    view.location = address(session, path);
    await sleep(MOMENT);
    look(session, view);
    view.close();
  },

  async link(session, path, rel) {
    const { element } = add('a', { href: address(session, path), target: '_blank', rel });
    element.click();
    await sleep(MOMENT);
    element.remove();
  },

  async eventSource(session) {
    const source = new EventSource(address(session, '/eventsource'), { withCredentials: true });
    await within(MOMENT, new Promise(resolve => {
      source.onmessage = ({ data }) => {
        session.read.push(data);
        if (data.includes(SECRET)) resolve();
      };
      source.onerror = resolve;
    }));
    source.close();
  },

  async webSocket(session, path, framed) {
    const socket = new WebSocket(address(session, path).replace('http', 'ws'));
    await within(MOMENT, new Promise(resolve => {
      socket.onopen = () => socket.send(framed ? payload(session) : `from ${session.id}`);
      socket.onmessage = ({ data }) => {
        session.read.push(data);
        if (data.includes(session.id)) resolve();
      };
      socket.onclose = resolve;
    }));
    socket.close();
  },

  // A script where there is no page, and so no address to name as the one that it came from.
  async worker(session, path) {
    const code = `self.${session.id} = text => postMessage(text);
      const load = () => { try { importScripts(${JSON.stringify(address(session, path))}) } catch {} };
      load(); load(); postMessage('');`;
    const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
    const worker = new Worker(url);
    await within(2 * MOMENT, new Promise(resolve => {
      worker.onmessage = ({ data }) => { data ? session.read.push(data) : resolve(); };
      worker.onerror = resolve;
    }));
    worker.terminate();
    URL.revokeObjectURL(url);
  },

  // A page without an origin (or with this page's, for `srcdoc`), which hands on what it reads.
  async inner(session, attributes, path) {
    const source = `<script src="${address(session, path)}"></${'script'}>`;
    const html = `<script>self.${session.id} = text => parent.postMessage(['${session.id}', text], '*')</${'script'}>`
      + source + source + `<script>parent.postMessage(['${session.id}'], '*')</${'script'}>`;
    const filled = Object.entries(attributes).map(([name, value]) => [name, value.replace('HTML', html)]);
    let hear;
    const heard = new Promise(resolve => {
      hear = ({ data }) => {
        if (data[0] !== session.id) return;
        data.length > 1 ? session.read.push(data[1]) : resolve();
      };
    });
    addEventListener('message', hear);
    const { element } = add('iframe', Object.fromEntries(filled));
    await within(2 * MOMENT, heard);
    removeEventListener('message', hear);
    element.remove();
  },

  // As the released client talks to its iframe page (lib/transport/iframe.js), without asking `/info`.
  async iframePage(session, transport) {
    const { element, settled } = add('iframe', { src: `${address(session, 'iframe.html')}#${session.id}` });
    const post = (type, data = '') => {
      element.contentWindow.postMessage(JSON.stringify({ windowId: session.id, type, data }), '*');
    };
    let hear;
    const done = new Promise(resolve => {
      hear = ({ source, data }) => {
        if (source !== element.contentWindow) return;
        const message = JSON.parse(data);
        if (message.type === 's') post('s', JSON.stringify([SockJS.version, transport, session.url, session.base]));
        if (message.type === 'c') resolve();
        if (message.type !== 't') return;
        session.read.push(message.data);
        if (message.data.includes(session.id)) resolve();
        else if (message.data.includes(SECRET)) post('m', JSON.stringify(`from ${session.id}`));
      };
    });
    addEventListener('message', hear);
    // It speaks when its script has run, which is before it counts as loaded; silent then, it has nothing to say.
    const silent = settled.then(() => sleep(MOMENT)).then(() => session.read.length ? sleep(WHILE) : null);
    await within(WHILE, Promise.race([done, silent]));
    removeEventListener('message', hear);
    element.remove();
  },

  // The iframe page in a window of the listed page: it and a page on another port are of one origin if both have set
  // their domain, and then it can be made to request anything.
  async frameOfListed(session, listed) {
    const view = open(`${listed}#${new URL('/echo', session.base)}`, '_blank');
    for (const end = performance.now() + WHILE; performance.now() < end && session.read.length < 2;) {
      await sleep(100);
      try {
        const answer = await view.frames[0].fetch(address(session, '/xhr'), { method: 'POST', credentials: 'include' });
        session.read.push(await answer.text());
      } catch {}
    }
    view.close();
  },

  // The released client; lured, it is told by this page's own server that the transports are elsewhere.
  async client(session, transport, lured) {
    const url = lured ? `${location.origin}/lure/${session.base.replace('http://', '')}` : session.base;
    const socket = new SockJS(url, null, { transports: [transport], sessionId: () => session.id });
    await within(WHILE, new Promise(resolve => {
      socket.onopen = () => {
        session.read.push('o');
        socket.send(`from ${session.id}`);
      };
      socket.onmessage = ({ data }) => {
        session.read.push(data);
        if (data.includes(session.id)) resolve();
      };
      socket.onclose = resolve;
    }));
    socket.close();
  },

  async sendByXhr(session) {
    const request = new XMLHttpRequest();
    request.open('POST', leaked(session, 'xhr_send'));
    request.withCredentials = true;
    await within(MOMENT, new Promise(resolve => {
      request.onloadend = resolve;
      request.send(payload(session));
    }));
  },

  async sendByFetch(session, mode, through = '') {
    const post = { method: 'POST', mode, credentials: 'include', body: payload(session) };
    await within(MOMENT, fetch(through + leaked(session, 'xhr_send'), post).catch(() => {}));
  },

  async sendByBeacon(session) {
    navigator.sendBeacon(leaked(session, 'xhr_send'), payload(session));
    await sleep(MOMENT);
  },

  async sendByForm(session, enctype, target) {
    // `["from …=` and `"]`: what plain text makes of a field is JSON.
    const [path, fields] = enctype
      ? ['xhr_send', { [`["from ${session.id}`]: '"]' }] : ['jsonp_send', { d: payload(session) }];
    (await submit(session, leaked(session, path), fields, { enctype, target })).remove();
  },

  // From a page without an origin.
  async sendFromSandbox(session) {
    const html = `<form action="${leaked(session, 'jsonp_send')}" method="post"><input name="d"></form>
      <script>const form = document.forms[0];
      form.d.value = '${payload(session)}';
      form.submit();</${'script'}>`;
    const { element } = add('iframe', { srcdoc: html, sandbox: 'allow-scripts allow-forms' });
    await sleep(MOMENT);
    element.remove();
  },
};

// All lines of one attack, one after the other: what was read.
async function attack(base, lines) {
  const read = [];
  const wrong = [];
  for (const [way, ...rest] of lines) {
    const session = fresh(base);
    try {
      await ways[way](session, ...rest);
    } catch (error) {
      // A mistake in this file, or a browser that does not let a page do this at all: somebody should know.
      wrong.push(`${way}: ${error}`);
    }
    read.push(...session.read);
  }
  const text = read.join('\n');
  return { read: FRAME.test(text), info: INFO.test(text), wrong };
}

// Each attack on the endpoint of its number, some at a time.
async function attackAll(bases, attacks, leaked, atOnce) {
  leakedId = leaked;
  const outcomes = [];
  const waiting = attacks.map((lines, number) => async () => {
    outcomes[number] = await attack(`${bases}/${number}`, lines);
  });
  const work = async () => {
    for (let next; (next = waiting.shift());) await next();
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return outcomes;
}

// The listed page, when another has opened it to be used.
if (location.hash) new SockJS(location.hash.slice(1), null, { transports: ['iframe-xhr-polling'] });
