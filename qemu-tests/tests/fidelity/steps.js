// Forty steps through node's fs, a line each: what a call gave, or its error. The rows compare the lines.
'use strict';
const fs = require('fs');
const { pipeline } = require('stream/promises');
const { readdir, readFile, writeFile } = fs.promises;

const text = (path) => fs.readFileSync(path, 'utf8');
const octal = (mode) => (mode & 0o7777).toString(8);
const kinds = (entries) => entries.map((e) => e.name + (e.isDirectory() ? '/' : e.isSymbolicLink() ? '@' : '')).sort();
const rejected = (promise) => promise.then(() => 'fulfilled', (e) => e.code);
/** What `use` gives of the open file, which is closed. */
const opened = (path, flags, use) => {
  const fd = fs.openSync(path, flags);
  try { return use(fd); } finally { fs.closeSync(fd); }
};
/** What a watcher of `folder` hears after `change`, or nothing in ten seconds. */
const heard = (folder, change) => new Promise((resolve, reject) => {
  const watcher = fs.watch(folder, (event, name) => end(`${event} ${name}`)).on('error', reject);
  const limit = setTimeout(() => end('nothing'), 10000);
  const end = (word) => { clearTimeout(limit); watcher.close(); resolve(word); };
  change();
});

const steps = {
  'make a directory': () => fs.mkdirSync('d'),
  'make it again': () => fs.mkdirSync('d'),
  'make a path': () => fs.mkdirSync('d/e/f/g', { recursive: true }).slice(-3),
  'make below what is missing': () => fs.mkdirSync('no/d'),
  'write': () => { fs.writeFileSync('d/a', 'one\n'); return text('d/a'); },
  'append': () => { fs.appendFileSync('d/a', 'two\n'); return text('d/a'); },
  'write exclusively': () => fs.writeFileSync('d/a', '', { flag: 'wx' }),
  'write over': () => { fs.writeFileSync('d/a', '123456789'); return text('d/a'); },
  'write to a directory': () => fs.writeFileSync('d', ''),
  'read what is missing': () => text('d/no'),
  'write at a place': () => opened('d/a', 'r+', (fd) => [fs.writeSync(fd, 'xyz', 4), text('d/a')]),
  'append at a place': () => opened('d/a', 'a', (fd) => [fs.writeSync(fd, 'END', 0), text('d/a')]),
  'read a piece': () => opened('d/a', 'r', (fd) => {
    const buffer = Buffer.alloc(5);
    return [fs.readSync(fd, buffer, 0, 5, 6), buffer.toString()];
  }),
  'read beyond the end': () => opened('d/a', 'r', (fd) => fs.readSync(fd, Buffer.alloc(5), 0, 5, 5000)),
  'write into several buffers': () => opened('d/v', 'w+', (fd) =>
    [fs.writevSync(fd, ['ab', 'cd', 'ef'].map((part) => Buffer.from(part))), text('d/v')]),
  'cut': () => { fs.truncateSync('d/a', 4); return text('d/a'); },
  'grow': () => { fs.truncateSync('d/a', 10); return [text('d/a'), fs.statSync('d/a').size]; },
  'set a mode': () => { fs.chmodSync('d/a', 0o640); return octal(fs.statSync('d/a').mode); },
  'set times': () => {
    fs.utimesSync('d/a', 1580608922.25, 1580608923.5);
    const about = fs.statSync('d/a', { bigint: true });
    return [about.atimeNs, about.mtimeNs].join();
  },
  'ask for access': () => [fs.accessSync('d/a', fs.constants.R_OK | fs.constants.W_OK), fs.existsSync('d/no')],
  'make a link': () => { fs.symlinkSync('a', 'd/s'); return [fs.readlinkSync('d/s'), fs.lstatSync('d/s').isSymbolicLink()]; },
  'follow it': () => [text('d/s').length, fs.realpathSync('d/s').slice(-3)],
  'make one to nowhere': () => { fs.symlinkSync('nowhere', 'd/x'); return fs.statSync('d/x'); },
  'make a second name': () => { fs.linkSync('d/a', 'd/h'); return [fs.statSync('d/h').nlink, fs.statSync('d/a').ino === fs.statSync('d/h').ino]; },
  'list': () => fs.readdirSync('d').sort(),
  'list kinds': () => kinds(fs.readdirSync('d', { withFileTypes: true })),
  'list one by one': async () => {
    const names = [];
    for await (const entry of await fs.promises.opendir('d', { bufferSize: 2 })) names.push(entry.name);
    return names.sort();
  },
  'rename': () => { fs.renameSync('d/h', 'd/e/h'); return [fs.existsSync('d/h'), text('d/e/h').length]; },
  'rename over': () => { fs.writeFileSync('d/n', 'new'); fs.renameSync('d/n', 'd/a'); return [text('d/a'), text('d/e/h').length]; },
  'rename over a directory': () => fs.renameSync('d/a', 'd/e'),
  'copy': () => { fs.copyFileSync('d/a', 'd/c'); return text('d/c'); },
  'copy exclusively': () => fs.copyFileSync('d/a', 'd/c', fs.constants.COPYFILE_EXCL),
  'copy a tree': () => { fs.cpSync('d', 'copy', { recursive: true }); return [fs.readlinkSync('copy/x').slice(-7), text('copy/e/h').length]; },
  'read what is unlinked': () => opened('d/c', 'r+', (fd) => {
    fs.unlinkSync('d/c');
    fs.writeSync(fd, 'NEW', 0);
    return [fs.readFileSync(fd, 'utf8'), fs.fstatSync(fd).nlink, fs.existsSync('d/c')];
  }),
  'write and read a stream': async () => {
    const part = 'p'.repeat(1000);
    await pipeline(function* () { for (let n = 0; n < 300; n++) yield part; }, fs.createWriteStream('d/big'));
    let size = 0;
    for await (const chunk of fs.createReadStream('d/big', { start: 1000, highWaterMark: 4096 })) size += chunk.length;
    return size;
  },
  'write twenty at once': async () => {
    await Promise.all(Array.from({ length: 20 }, (_, n) => writeFile(`d/e/f/${n}`, `${n}`)));
    const names = (await readdir('d/e/f')).filter((name) => name !== 'g');
    return (await Promise.all(names.map((name) => readFile(`d/e/f/${name}`, 'utf8')))).map(Number).sort((a, b) => a - b);
  },
  'append ten at once': async () => {
    await Promise.all(Array.from({ length: 10 }, (_, n) => fs.promises.appendFile('d/log', `line ${n}\n`)));
    return text('d/log').trim().split('\n').sort();
  },
  'watch': () => heard('d/e/f/g', () => fs.writeFileSync('d/e/f/g/seen', '')),
  'remove a directory that is not empty': () => fs.rmdirSync('d'),
  'remove all': async () => {
    fs.rmSync('d', { recursive: true });
    return [fs.existsSync('d'), await rejected(fs.promises.stat('d')), fs.rmSync('d', { force: true })];
  },
};

(async () => {
  for (const [name, step] of Object.entries(steps)) {
    let line;
    try { line = JSON.stringify(await step()); } catch (error) { line = error.code ?? String(error); }
    console.log(`${name}: ${line}`);
  }
})();
