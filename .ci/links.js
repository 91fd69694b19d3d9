// Checks every link of the Markdown files and of the documentation that `cargo doc` made, without the internet:
//
//     cargo doc --no-deps && node .ci/links.js
//
// A relative link leads to a file of the repository, and of the package if the package has the file with the link; an anchor
// leads to a heading or an id. Links that rustdoc resolves (`crate::Server`) it has checked itself, but for their anchors: those
// are checked in its pages. An absolute link is only looked at: it is an https address, or one of this machine in an example.

'use strict';

const fs = require('fs');
const path = require('path');
const { execFileSync } = require('child_process');

const root = path.join(__dirname, '..');
const run = (program, ...args) => execFileSync(program, args, { cwd: root, encoding: 'utf8' }).trim().split('\n');
const faults = new Set();
let count = 0;

function fault(place, link, what) {
  faults.add(`${place}: ${link}: ${what}`);
}

// Whether it is absolute; if so it is judged.
function isAbsolute(place, link) {
  if (!/^[a-z][a-z0-9+.-]*:(?!:)/i.test(link)) return false;
  let url;
  try {
    url = new URL(link);
  } catch {
    fault(place, link, 'is no address');
    return true;
  }
  const isLocal = ['127.0.0.1', 'localhost'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(isLocal && url.protocol === 'http:')) fault(place, link, 'is not https');
  if (/[\s<>"]|[.,;:)]$/.test(link) || !(isLocal || url.hostname.includes('.'))) fault(place, link, 'is no address');
  return true;
}

// ---- Markdown

// Code is no place for links, and what begins with # in it is no heading.
const withoutBlocks = text => text.replace(/^(```+|~~~+)[^\n]*\n[\s\S]*?^\1[^\n]*$/gm, '');
const withoutCode = text => withoutBlocks(text).replace(/`[^`\n]*`/g, '');

function headings(file) {
  const slugs = new Set();
  for (const [, heading] of withoutBlocks(fs.readFileSync(file, 'utf8')).matchAll(/^#+ (.*)$/gm)) {
    slugs.add(heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
  }
  return slugs;
}

function checkMarkdown(tracked, packaged) {
  for (const name of tracked.filter(name => name.endsWith('.md'))) {
    const text = withoutCode(fs.readFileSync(path.join(root, name), 'utf8'));
    const defined = new Set([...text.matchAll(/^\[([^\]]+)\]:/gm)].map(([, label]) => label));
    for (const [, label] of text.matchAll(/\]\[([^\]]+)\]/g)) {
      if (!defined.has(label)) fault(name, label, 'is not defined');
    }
    const inline = [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)];
    const references = [...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)];
    const plain = [...text.matchAll(/<([a-z]+:\/\/[^>]*)>/g)];
    for (const [, link] of [...inline, ...references, ...plain]) {
      count++;
      if (/^(crate|self|super)\b/.test(link) && name.startsWith('src/')) continue;
      if (isAbsolute(name, link)) continue;
      const [file, anchor] = link.split('#');
      const target = file ? path.join(path.dirname(name), file) : name;
      const isIn = files => files.some(other => other === target || other.startsWith(`${target}/`));
      if (!isIn(tracked)) {
        fault(name, link, 'no such file');
      } else if (packaged.includes(name) && !isIn(packaged)) {
        fault(name, link, 'is not in the package');
      } else if (anchor !== undefined && !headings(path.join(root, target)).has(anchor)) {
        fault(name, link, 'no such heading');
      }
    }
  }
}

// ---- What rustdoc wrote

function pages(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const name = path.join(folder, entry.name);
    return entry.isDirectory() ? pages(name) : name.endsWith('.html') ? [name] : [];
  });
}

const unescape = text => {
  const letters = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => letters[name]);
};

function checkPages(folder) {
  const known = new Map();
  const idsOf = file => {
    if (!known.has(file)) {
      const found = fs.readFileSync(file, 'utf8').matchAll(/ id="([^"]*)"/g);
      known.set(file, new Set([...found].map(([, id]) => decodeURIComponent(unescape(id)))));
    }
    return known.get(file);
  };
  for (const page of pages(folder)) {
    const place = path.relative(root, page);
    for (const [, escaped] of fs.readFileSync(page, 'utf8').matchAll(/<a\b[^>]*? href="([^"]*)"/g)) {
      count++;
      const link = unescape(escaped);
      if (isAbsolute(place, link)) continue;
      const [file, anchor] = link.split('#');
      const target = file ? path.resolve(path.dirname(page), decodeURIComponent(file)) : page;
      if (!fs.existsSync(target)) {
        fault(place, link, 'no such page');
      } else if (anchor && !/^\d+(-\d+)?$/.test(anchor)) {
        // (The lines of a source file get their ids in the browser.)
        if (!idsOf(target).has(decodeURIComponent(anchor))) fault(place, link, 'no such id');
      }
    }
  }
}

const tracked = run('git', 'ls-files');
const packaged = run('cargo', 'package', '--list', '--allow-dirty');
checkMarkdown(tracked, packaged);
const documentation = path.join(process.env.CARGO_TARGET_DIR || path.join(root, 'target'), 'doc', 'sockjs_server');
if (!fs.existsSync(documentation)) fault(documentation, '', 'cargo doc has not run');
else checkPages(documentation);
console.log(`${count} links, ${faults.size} faults`);
for (const line of faults) console.error(line);
process.exitCode = faults.size ? 1 : 0;
