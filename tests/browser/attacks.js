// The attacks, as data: what each is called, what a page can do by it to an endpoint that has no list of origins, and
// its lines, each a way of hostile_page.js and what it is given.

'use strict';

const ENDLESS = ['/eventsource', '/htmlfile?c=CALLBACK'];
const JSONP = '/jsonp?c=CALLBACK';
// The first of each is the one that has to succeed where it may: only that of them has CORS.
const GETS = ['/eventsource', JSONP, '/htmlfile?c=CALLBACK'];
// Alone it is of use only inside of the server's own origin: its page calls into the one that frames it.
const HTMLFILE = 'htmlfile';
const POSTS = ['/xhr', '/xhr_streaming'];
const TRANSPORTS = [
  'websocket', 'xhr-streaming', 'xhr-polling', 'eventsource', 'htmlfile', 'jsonp-polling', 'iframe-eventsource',
  'iframe-htmlfile', 'iframe-xhr-polling',
];

// As what an element loads; a script can read the first.
const load = (tag, name, more = {}) =>
  [JSONP, ...ENDLESS].map(path => ['element', tag, { ...more, [name]: 'URL' }, path]);

// What each must do where no origins are listed: `r` read, `o` open a session, `s` send; some browsers let a page do
// more. In `/info` is no secret, but a page that may not come in is not to read it either. The sends go to a session
// that is open already, and whose name has leaked.
// `listed` is the page whose origin is listed.
const attacks = listed => [
  ['XMLHttpRequest, /info', '', [['xhr', 'GET', 'info']]],
  ['XMLHttpRequest, GET', 'ro', GETS.map(path => ['xhr', 'GET', path])],
  ['XMLHttpRequest, POST', 'ro', POSTS.map(path => ['xhr', 'POST', path])],
  ['fetch, GET', 'ro', GETS.map(path => ['fetch', 'cors', 'GET', path])],
  ['fetch, POST', 'ro', POSTS.map(path => ['fetch', 'cors', 'POST', path])],
  ['fetch no-cors, GET', 'o', GETS.map(path => ['fetch', 'no-cors', 'GET', path])],
  ['fetch no-cors, POST', 'o', POSTS.map(path => ['fetch', 'no-cors', 'POST', path])],
  ['fetch, redirected GET', 'ro', GETS.map(path => ['fetch', 'cors', 'GET', path, '/redirect?'])],
  ['fetch no-cors, redirected GET', 'o', GETS.map(path => ['fetch', 'no-cors', 'GET', path, '/redirect?'])],
  ['fetch no-cors, redirected POST', 'o', POSTS.map(path => ['fetch', 'no-cors', 'POST', path, '/redirect?'])],
  ['sendBeacon', 'o', [['beacon', '/xhr']]],
  ['EventSource', 'ro', [['eventSource']]],
  ['WebSocket', 'ros', [['webSocket', '/websocket', true]]],
  ['WebSocket, raw', 'ros', [['webSocket', 'websocket', false]]],
  ['<script>', 'ro', load('script', 'src')],
  ['<script>, redirected', 'ro', [['element', 'script', { src: 'URL' }, JSONP, '/redirect?']]],
  ['<script type=module>', 'o', [['element', 'script', { type: 'module', src: 'URL' }, JSONP]]],
  ['importScripts in a worker', 'ro', [['worker', JSONP]]],
  ['<script> in a data: frame', 'ro', [['inner', { src: 'data:text/html,HTML' }, JSONP]]],
  ['<script> in a sandbox', 'ro', [['inner', { srcdoc: 'HTML', sandbox: 'allow-scripts' }, JSONP]]],
  ['<script> in srcdoc', 'ro', [['inner', { srcdoc: 'HTML' }, JSONP]]],
  ['<img>', 'o', load('img', 'src')],
  ['<link rel=stylesheet>', 'o', load('link', 'href', { rel: 'stylesheet' })],
  ['<link rel=prefetch>', 'o', load('link', 'href', { rel: 'prefetch' })],
  ['<video>', 'o', load('video', 'src')],
  ['<object>', 'o', load('object', 'data')],
  ['<iframe>', 'o', load('iframe', 'src')],
  ['<iframe sandbox>', 'o', load('iframe', 'src', { sandbox: 'allow-scripts' })],
  ['<form>, GET', 'o', GETS.map(path => ['form', 'get', path.split('?')[0], { c: 'CALLBACK' }])],
  ['<form>, POST', 'o', POSTS.map(path => ['form', 'post', path, {}])],
  ['window.open', 'o', ENDLESS.map(path => ['open', path, ''])],
  ['navigation', 'o', ENDLESS.map(path => ['navigate', path])],
  ['send, XMLHttpRequest', 's', [['sendByXhr']]],
  ['send, fetch', 's', [['sendByFetch', 'cors']]],
  ['send, fetch no-cors', 's', [['sendByFetch', 'no-cors']]],
  ['send, fetch no-cors, redirected', 's', [['sendByFetch', 'no-cors', '/redirect?']]],
  ['send, sendBeacon', 's', [['sendByBeacon']]],
  ['send, <form>', 's', [['sendByForm']]],
  ['send, <form> of text', 's', [['sendByForm', 'text/plain']]],
  ['send, <form> in a sandbox', 's', [['sendFromSandbox']]],
  ...['xhr-polling', 'eventsource', 'htmlfile'].map(name => [`iframe.html, ${name}`, 'ros', [['iframePage', name]]]),
  ...TRANSPORTS.map(name => [`sockjs-client, ${name}`, name === HTMLFILE ? '' : 'ros', [['client', name, false]]]),
  ...TRANSPORTS.map(name => [`same, lured, ${name}`, name === HTMLFILE ? 'o' : 'ros', [['client', name, true]]]),
  // Not where browsers no longer let a page set its domain.
  ['frame of the listed page', '', [['frameOfListed', listed]]],
  // These leave windows that stay open for a while, and with them connections, of which a browser has few.
  ['send, <form>, new window', 's', [['sendByForm', '', '_blank']]],
  ['<form>, POST, new window', 'o', POSTS.map(path => ['form', 'post', path, {}, '', '_blank'])],
  ['window.open, noreferrer', 'o', ENDLESS.map(path => ['open', path, 'noreferrer'])],
  ['<a rel=noreferrer>', 'o', ENDLESS.map(path => ['link', path, 'noreferrer'])],
].map(([name, open, lines]) => ({ name, open, lines }));

module.exports = { attacks };
