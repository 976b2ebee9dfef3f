// The status page in the browser. As it is: there is no build step, and nothing comes from elsewhere.
// @ts-check
/* global uPlot */

const MOST_LINES = 200;
const MOST_EXITS = 50;
const MOST_POINTS = 900;

/** Each state as a sign, too: colour alone says nothing to many. */
const STATES = {
  ready: ['●', 'good'],
  replacing: ['◐', 'good'],
  failing: ['✖', 'bad'],
  starting: ['○', 'wait'],
  waiting: ['◌', 'wait'],
  stopping: ['▽', 'wait'],
  down: ['✖', 'bad'],
};

const $ = (selector, within = document) => within.querySelector(selector);

const size = (bytes) =>
  bytes === null
    ? '–'
    : bytes < 1e9
      ? `${(bytes / 1e6).toFixed(1)} MB`
      : `${(bytes / 1e9).toFixed(2)} GB`;
const percent = (value) => (value === null ? '–' : `${value.toFixed(1)} %`);
const ms = (value) => (value === null ? '–' : `${value.toFixed(1)} ms`);
const clock = (time) => new Date(time).toLocaleTimeString(undefined, { hour12: false });

function age(since) {
  if (since === null) return '–';
  const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Sets it only if it differs: a thousand rows are looked through each second. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// The token comes in the fragment, which no server and no log sees, and stays in this tab.

const fragment = new URLSearchParams(location.hash.slice(1));
if (fragment.has('token')) {
  sessionStorage.setItem('token', fragment.get('token'));
  history.replaceState(null, '', location.pathname);
}
const token = () => sessionStorage.getItem('token');

$('#unlock').addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem('token', $('#token').value);
  $('#token').value = '';
  showActions();
});

function showActions() {
  const possible = [...services.values()].some(({ canAct }) => canAct);
  $('#unlock').hidden = !possible || token() !== null;
  for (const service of services.values()) service.showActions();
}

async function act(button, order) {
  button.disabled = true;
  write($('#answer'), '');
  try {
    const response = await fetch('/actions', {
      method: 'POST',
      headers: { Authorization: `Bearer ${token()}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(order),
    });
    if (response.status === 401) {
      sessionStorage.removeItem('token');
      showActions();
    }
    if (!response.ok) write($('#answer'), `Not done: ${await response.text()}`);
  } catch (error) {
    write($('#answer'), `Not done: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

// Curves.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class Chart {
  constructor(parent, title, format) {
    this.format = format;
    this.title = title;
    this.value = element('output');
    this.box = element('div', { role: 'img' });
    this.figure = element(
      'figure',
      {},
      element('figcaption', {}, element('span', { textContent: `${title} ` }), this.value),
      this.box,
    );
    parent.append(this.figure);
    this.data = [[], []];
  }

  draw() {
    this.plot?.destroy();
    const axis = { stroke: colour('--dim'), grid: { stroke: colour('--line'), width: 1 } };
    this.plot = new uPlot(
      {
        width: Math.max(200, this.box.clientWidth),
        height: 120,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [
          {
            ...axis,
            space: 70,
            size: 30,
            values: (_, times) => times.map((time) => clock(time * 1000)),
          },
          { ...axis, size: 70, values: (_, values) => values.map((value) => this.format(value)) },
        ],
        series: [
          {},
          { stroke: colour('--accent'), width: 1.5, spanGaps: false, points: { show: false } },
        ],
      },
      this.data,
      this.box,
    );
  }

  show(data) {
    this.data = data;
    const last = data[1].at(-1) ?? null;
    write(this.value, this.format(last));
    this.box.setAttribute('aria-label', `${this.title}, now ${this.format(last)}`);
    if (this.plot === undefined) this.draw();
    else this.plot.setData(data);
  }
}

// One service.

class Service {
  constructor(key) {
    this.key = key;
    this.rows = new Map();
    this.lastId = 0;
    this.points = [];
    this.node = $('#service').content.firstElementChild.cloneNode(true);
    // What scrolls is to be reached by the keyboard.
    for (const node of this.node.querySelectorAll('.scroll, .log, .exits')) node.tabIndex = 0;
    $('#services').append(this.node);
    const charts = $('.charts', this.node);
    this.charts = [
      [new Chart(charts, 'Memory', size), 2],
      [new Chart(charts, 'CPU', percent), 3],
      [new Chart(charts, 'Longest event-loop delay', ms), 4],
    ];
    this.node.addEventListener('click', ({ target }) => {
      const { action, worker } = target.dataset ?? {};
      if (action === undefined) return;
      act(target, { key, action, ...(worker === undefined ? {} : { worker: Number(worker) }) });
    });
    $('.scale', this.node).addEventListener('submit', (event) => {
      event.preventDefault();
      const workers = Number($('input', event.target).value);
      act($('button', event.target), { key, action: 'scale', workers });
    });
  }

  update(news) {
    if (news.isWhole) this.reset();
    if (news.name !== undefined) write($('h2', this.node), news.name);
    if (news.canAct !== undefined) {
      this.canAct = news.canAct;
      showActions();
    }
    if (news.headline !== undefined) this.head(news);
    for (const id of news.gone ?? []) this.remove(id);
    for (const row of news.rows ?? []) this.row(row);
    if (news.points?.length > 0) this.curves(news.points);
    if (news.lines !== undefined) this.lines(news.lines);
  }

  reset() {
    for (const id of [...this.rows.keys()]) this.remove(id);
    this.points = [];
    $('.log', this.node).replaceChildren();
    $('.exits', this.node).replaceChildren();
  }

  head({ headline, isWell, facts, lastError, rows }) {
    const node = $('.headline', this.node);
    write(node, `${isWell ? '●' : '▲'} ${headline}`);
    node.className = `headline ${isWell ? 'good' : 'bad'}`;
    this.facts = facts;
    this.showFacts();
    const error = $('.error', this.node);
    error.hidden = lastError === null;
    write(error, lastError === null ? '' : `Last error: ${lastError.split('\n', 1)[0]}`);
    const input = $('.scale input', this.node);
    if (rows !== undefined && input.value === '') input.value = String(rows.length);
  }

  showFacts() {
    const { since, ...facts } = this.facts;
    const all = { ...facts, ...(since === undefined ? {} : { 'running for': age(since) }) };
    const text = JSON.stringify(all);
    if (text === this.shownFacts) return;
    this.shownFacts = text;
    const pairs = Object.entries(all).map(([name, value]) =>
      element(
        'div',
        {},
        element('dt', { textContent: name }),
        element('dd', { textContent: String(value) }),
      ),
    );
    $('.facts', this.node).replaceChildren(...pairs);
  }

  row(row) {
    let known = this.rows.get(row.id);
    if (known === undefined) known = this.addRow(row.id);
    known.row = row;
    const [sign, look] = STATES[row.state] ?? ['?', 'wait'];
    const { cells } = known;
    write(cells.state, `${sign} ${row.state}`);
    cells.state.className = `state ${look}`;
    write(cells.pid, row.pid === null ? '–' : String(row.pid));
    write(cells.restarts, String(row.restarts));
    write(cells.memory, size(row.memory));
    write(cells.cpu, percent(row.cpu));
    write(cells.delay, ms(row.delay));
    write(cells.note, row.note);
    write(cells.age, age(row.since));
  }

  addRow(id) {
    const cell = (label, className = 'number') => {
      const made = element('td', { className });
      made.dataset.label = label;
      return made;
    };
    const cells = {
      state: cell('State', 'state'),
      pid: cell('Pid'),
      age: cell('Running for'),
      restarts: cell('Restarts'),
      memory: cell('Memory'),
      cpu: cell('CPU'),
      delay: cell('Loop delay'),
      note: cell('Note', 'note'),
    };
    const button = element('button', { textContent: 'Restart' });
    button.dataset.action = 'restart';
    button.dataset.worker = String(id);
    button.setAttribute('aria-label', `Restart worker ${id}`);
    const title = element('th', { scope: 'row', textContent: String(id) });
    title.dataset.label = 'Worker';
    const node = element(
      'tr',
      {},
      title,
      ...Object.values(cells),
      element('td', { className: 'act' }, button),
    );
    $('.act', node).hidden = !this.mayAct;
    const known = { node, cells, row: undefined };
    // They come in order, but for one that was away.
    const isLast = id > this.lastId;
    const after = isLast ? undefined : [...this.rows].find(([other]) => other > id);
    $('tbody', this.node).insertBefore(node, after?.[1].node ?? null);
    this.rows.set(id, known);
    this.lastId = Math.max(this.lastId, id);
    if (!isLast) this.rows = new Map([...this.rows].sort(([one], [other]) => one - other));
    return known;
  }

  remove(id) {
    this.rows.get(id)?.node.remove();
    this.rows.delete(id);
  }

  curves(points) {
    this.points.push(...points);
    if (this.points.length > MOST_POINTS) this.points.splice(0, this.points.length - MOST_POINTS);
    const times = this.points.map(([time]) => time / 1000);
    for (const [chart, index] of this.charts)
      chart.show([times, this.points.map((point) => point[index])]);
  }

  lines(lines) {
    const log = $('.log', this.node);
    const exits = $('.exits', this.node);
    const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
    for (const line of lines) {
      let entry;
      try {
        entry = JSON.parse(line);
      } catch {
        entry = { msg: line };
      }
      const text = element('span', { textContent: ` ${entry.msg ?? line}` });
      if (entry.level >= 50) text.className = 'bad';
      else if (entry.level >= 40) text.className = 'wait';
      const severity = entry.level >= 50 ? ' error' : entry.level >= 40 ? ' warning' : '';
      const when = entry.time === undefined ? '' : clock(entry.time);
      const item = element('li', {}, element('time', { textContent: when + severity }), text);
      log.append(item);
      if (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
      if (entry.event !== 'exit') continue;
      exits.prepend(item.cloneNode(true));
      if (exits.childElementCount > MOST_EXITS) exits.lastElementChild.remove();
    }
    if (follows) log.scrollTop = log.scrollHeight;
  }

  get mayAct() {
    return this.canAct === true && token() !== null;
  }

  showActions() {
    const { mayAct } = this;
    $('.actions', this.node).hidden = !mayAct;
    for (const cell of this.node.querySelectorAll('.act')) cell.hidden = !mayAct;
  }

  tick() {
    if (this.facts !== undefined) this.showFacts();
    for (const { cells, row } of this.rows.values()) write(cells.age, age(row.since));
  }
}

const services = new Map();

function receive(news) {
  let service = services.get(news.key);
  if (news.isGone) {
    service?.node.remove();
    services.delete(news.key);
    showActions();
    return;
  }
  if (service === undefined) {
    service = new Service(news.key);
    services.set(news.key, service);
  }
  service.update(news);
}

const events = new EventSource('/events');
events.onopen = () => {
  for (const { node } of services.values()) node.remove();
  services.clear();
  write($('#connection'), 'Live');
};
events.onmessage = ({ data }) => receive(JSON.parse(data));
events.onerror = () => write($('#connection'), '▲ Connection lost; trying again …');

setInterval(() => {
  for (const service of services.values()) service.tick();
}, 1000);

const redraw = () => {
  for (const { charts } of services.values())
    for (const [chart] of charts) if (chart.plot) chart.draw();
};
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
let resizing;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 150);
});
