// browser.js CHROMIUM PROFILE SHOTS NAME=WHERE...: opens pages in a headless Chromium, in light and dark, wide and narrow, and
// prints as JSON, one object by NAME, what it saw of each.  WHERE is a URL, or the path of a whole CGI answer, which is served
// here.  SHOTS is a directory for pictures, or "".  It speaks the DevTools protocol over a pipe, and needs nothing but node.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');

const [chromium, profile, shots, ...pages] = process.argv.slice(2);
const looks = [
	{ look: 'wide', width: 1200, scheme: 'light' }, { look: 'wide-dark', width: 1200, scheme: 'dark' },
	{ look: 'narrow', width: 360, scheme: 'light' }, { look: 'narrow-dark', width: 360, scheme: 'dark' },
];

// The protocol: objects that end with a zero byte; answers have the id of their question, all else is an event.
let child, session, closing = false, rest = '', last = 0, heard = () => {};
const waiting = new Map();

function ask(method, params = {}) {
	const id = ++last;

	child.stdio[3].write(JSON.stringify({ id, method, params, sessionId: session }) + '\0');
	return new Promise((resolve, reject) => waiting.set(id, { resolve, reject, method }));
}

function receive(bytes) {
	const parts = (rest + bytes).split('\0');

	rest = parts.pop();
	for (const part of parts) {
		const message = JSON.parse(part), asked = waiting.get(message.id);

		if (!asked) {
			heard(message);
			continue;
		}
		waiting.delete(message.id);
		if (message.error)
			asked.reject(new Error(`${asked.method}: ${message.error.message}`));
		else
			asked.resolve(message.result);
	}
}

// In the page.  What it says is text for tests/e2e/browser.sh to compare, and numbers.
function examine() {
	const text = (element) => element.textContent.replace(/\s+/g, ' ').trim();
	const colour = (value) => {
		const [r, g, b, a = 1] = value.match(/[\d.]+/g).map(Number);

		return { rgb: [r, g, b], a };
	};
	// WCAG 2.1, relative luminance and contrast ratio.
	const luminance = (rgb) => {
		const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);

		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const contrast = (a, b) => {
		const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);

		return (high + 0.05) / (low + 0.05);
	};
	const behind = (element) => {
		for (let e = element; e; e = e.parentElement) {
			const c = colour(getComputedStyle(e).backgroundColor);

			if (c.a > 0)
				return c.rgb;
		}
		return [255, 255, 255];
	};
	const words = [...document.querySelectorAll('body *')].filter((e) => e.getClientRects().length > 0 && !e.closest('svg') &&
	    [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim() !== ''));
	const faint = words.map((e) => ({ text: text(e).slice(0, 40),
		ratio: contrast(colour(getComputedStyle(e).color).rgb, behind(e)) })).sort((a, b) => a.ratio - b.ratio);
	const rows = (table) => [...table.querySelectorAll('tr')].map((row) => ({ name: text(row.querySelector('th')),
		value: text(row.lastElementChild), scope: row.querySelector('th').scope,
		bar: row.querySelector('.bar i') ? row.querySelector('.bar i').getBoundingClientRect().width : 0 }));
	// A bar is "M12.1 990h.8v-340h-.8z": slot, where it stands, and how high it is.
	const bars = (path) => [...(path.getAttribute('d') || '').matchAll(/M(\d+)\.1 (\d+)h\.8v-(\d+)h-\.8z/g)]
	    .map((m) => ({ slot: Number(m[1]), foot: Number(m[2]), height: Number(m[3]) }));
	const outside = [...document.querySelectorAll('main *')].filter((e) => {
		const box = e.getBoundingClientRect();

		return !e.closest('svg') && box.width > 0 && (box.right > document.documentElement.clientWidth + 1 || box.left < -1);
	});
	const chart = document.querySelector('svg'), series = [...document.querySelectorAll('svg .a, svg .d, svg .f')];

	return {
		title: document.title, lang: document.documentElement.lang, headings: [...document.querySelectorAll('h1,h2,h3')].map((h) =>
		    `${h.tagName.toLowerCase()} ${text(h)}`),
		scrollWidth: document.documentElement.scrollWidth, clientWidth: document.documentElement.clientWidth,
		outside: outside.map((e) => `${e.tagName.toLowerCase()}.${e.className} ${text(e).slice(0, 60)}`),
		elements: [...new Set([...document.querySelectorAll('*')].map((e) => e.tagName.toLowerCase()))].sort(),
		handlers: [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes].map((a) => a.name))
		    .filter((n) => n.startsWith('on')),
		tiles: Object.fromEntries([...document.querySelectorAll('.tile')].map((t) => [text(t.querySelector('span')),
		    text(t.querySelector('b'))])),
		tables: [...document.querySelectorAll('table')].map((t) => ({ name: t.getAttribute('aria-label') ||
		    text(document.getElementById(t.getAttribute('aria-labelledby')) || document.createElement('i')), rows: rows(t) })),
		issuers: [...document.querySelectorAll('.name')].map(text),
		errors: [...document.querySelectorAll('.err')].map(text),
		chart: { role: chart && chart.getAttribute('role'), label: chart && chart.getAttribute('aria-label'),
			height: chart && chart.viewBox.baseVal.height, drawn: chart ? chart.getBoundingClientRect().height : 0,
			series: series.map(bars), colours: series.map((p) =>
			    contrast(colour(getComputedStyle(p).fill).rgb, behind(p.closest('section')))),
			tips: [...document.querySelectorAll('svg title')].map(text) },
		scale: text(document.querySelector('.y span')),
		faint: faint.slice(0, 3), words: text(document.querySelector('main') || document.body),
	};
}

async function open(name, url) {
	const seen = { looks: {}, console: [], requests: [] };
	let loaded;

	heard = ({ method, params }) => {
		if (method === 'Log.entryAdded')
			seen.console.push(`${params.entry.level} ${params.entry.source}: ${params.entry.text}`);
		else if (method === 'Runtime.consoleAPICalled')
			seen.console.push(`${params.type}: ${params.args.map((a) => a.value).join(' ')}`);
		else if (method === 'Runtime.exceptionThrown')
			seen.console.push(`exception: ${params.exceptionDetails.text}`);
		else if (method === 'Network.requestWillBeSent')
			seen.requests.push(params.request.url);
		else if (method === 'Network.responseReceived' && params.type === 'Document')
			seen.status = params.response.status;
		else if (method === 'Page.loadEventFired')
			loaded();
	};
	for (const { look, width, scheme } of looks) {
		await ask('Emulation.setDeviceMetricsOverride', { width, height: 800, deviceScaleFactor: 1, mobile: width < 600 });
		await ask('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
		if (look === looks[0].look) {
			const load = new Promise((resolve) => { loaded = resolve; });
			const went = await ask('Page.navigate', { url });

			if (went.errorText)
				throw new Error(`${url}: ${went.errorText}`);
			await load;
		}
		const result = await ask('Runtime.evaluate', { expression: `(${examine})()`, returnByValue: true });

		if (result.exceptionDetails)
			throw new Error(`${name}: ${result.exceptionDetails.exception.description}`);
		seen.looks[look] = result.result.value;
		if (shots !== '') {
			const { data } = await ask('Page.captureScreenshot', { captureBeyondViewport: true, format: 'png' });

			fs.writeFileSync(`${shots}/${name}-${look}.png`, Buffer.from(data, 'base64'));
		}
	}
	return seen;
}

async function main() {
	const answers = new Map(), strays = [], out = {};
	const server = http.createServer((request, response) => {
		const answer = answers.get(request.url);

		if (!answer) {
			strays.push(request.url);
			response.writeHead(404).end();
			return;
		}
		const [head, body] = answer.split(/\r\n\r\n([^]*)/);
		const [status, ...headers] = head.split('\r\n');

		response.writeHead(Number(status.match(/^Status: (\d+)/)[1]), Object.fromEntries(headers.map((h) => h.split(/: (.*)/))));
		response.end(body);
	});

	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	// Its own sandbox wants what containers do not give; all that it opens here is ours, and no name but 127.0.0.1 is known to it.
	child = spawn(chromium, ['--headless', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--no-first-run',
		'--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
		'--disable-component-update', '--disable-sync', '--disable-extensions', '--disable-breakpad', '--no-proxy-server',
		'--force-color-profile=srgb', '--hide-scrollbars', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
	    { stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'], detached: true });
	child.stdio[4].setEncoding('utf8').on('data', receive);
	child.on('error', (error) => { console.error(error.message); end(1); });
	child.on('exit', (code, signal) => {
		if (!closing) {
			console.error(`${chromium} ended: ${code ?? signal}`);
			end(1);
		}
	});

	const { targetId } = await ask('Target.createTarget', { url: 'about:blank' });

	({ sessionId: session } = await ask('Target.attachToTarget', { targetId, flatten: true }));
	for (const domain of ['Page', 'Runtime', 'Log', 'Network'])
		await ask(`${domain}.enable`);
	for (const page of pages) {
		const [name, where] = page.split(/=(.*)/);
		let url = where;

		if (where.startsWith('/')) {
			answers.set(`/${name}`, fs.readFileSync(where, 'latin1'));
			url = `http://127.0.0.1:${server.address().port}/${name}`;
		}
		out[name] = { url, ...await open(name, url) };
	}
	session = undefined;
	closing = true;
	ask('Browser.close').catch(() => {});
	await new Promise((resolve) => child.on('exit', resolve));
	server.close();
	console.log(JSON.stringify({ ...out, strays }));
}

// Whatever happens, nothing of ours is left.
function end(code) {
	try {
		if (child)
			process.kill(-child.pid, 'SIGKILL');
	} catch { /* it is gone */ }
	process.exit(code);
}
process.on('SIGTERM', () => end(1));
main().then(() => end(0), (error) => { console.error(error.message); end(1); });
