// A small platform, written by an outsider: all that it knows of kits stands in the AsyncAPI document.
//
//   node platform.cjs DOCUMENT BROKER STORE
//
// It subscribes to what kits send, looks every message up in the document, writes each numbered one to STORE
// (a JSON object a line, synced), and then acknowledges. It prints `listening`, the state of a kit when it
// changes, and on SIGTERM what it has seen, as JSON.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const Ajv = require('ajv').default;
const yaml = require('js-yaml');
const mqtt = require('mqtt');

const ACK_EVERY_MS = 1000;
const [documentFile, broker, storeFile] = process.argv.slice(2);

class Contract {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv({ strict: true });
    this.ajv.addVocabulary(['components', 'schemas']);
    this.ajv.addSchema({ components: { schemas: document.components.schemas } }, 'contract');
    this.operations = Object.values(document.operations).map((operation) => {
      const channel = this.at(operation.channel.$ref);
      return {
        ...operation.bindings.mqtt,
        action: operation.action,
        address: channel.address,
        pattern: new RegExp(`^${channel.address.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
        messages: Object.values(channel.messages).map((reference) => this.at(reference.$ref)),
      };
    });
  }

  at(reference) {
    return reference.slice(2).split('/').reduce((found, key) => found[key], this.document);
  }

  valid(schema, value) {
    return this.ajv.getSchema(`contract${schema.$ref}`)(value);
  }

  // The message's JSON if this PUBLISH is such a message.
  fits(message, payload, properties) {
    try {
      if (message.contentType !== properties.contentType) return undefined;
      if (message.contentType === 'application/json') {
        const found = JSON.parse(payload.toString('utf8'));
        return this.valid(message.payload, found) ? found : undefined;
      }
      if (message.payload.maxLength === 0 && payload.length > 0) return undefined;
      const found = JSON.parse(properties.userProperties.header);
      return this.valid(message.headers.properties.header.contentSchema, found) ? found : undefined;
    } catch {
      return undefined;
    }
  }

  // What came on a topic: the levels of the topic, the message's name and the message.
  read(topic, payload, properties) {
    const operations = this.operations.filter((one) => one.action === 'send' && one.pattern.test(topic));
    const found = operations
      .flatMap((one) => one.messages)
      .map((message) => ({ name: message.name, body: this.fits(message, payload, properties) }))
      .filter(({ body }) => body !== undefined);
    if (found.length !== 1) throw new Error(`${found.length} messages of the document fit`);
    return { ...found[0], levels: operations[0].pattern.exec(topic).groups };
  }
}

// What one stream owes us.
class Account {
  constructor(levels) {
    this.levels = levels;
    this.stored = new Set();
    this.excused = [];
    this.watermark = 0;
  }

  advance() {
    const next = () => this.watermark + 1;
    for (;;) {
      const range = this.excused.find(([first, last]) => first <= next() && next() <= last);
      if (this.stored.has(next())) this.watermark += 1;
      else if (range !== undefined) this.watermark = range[1];
      else return;
    }
  }
}

class Platform {
  constructor(contract, store) {
    this.contract = contract;
    this.store = store;
    this.accounts = new Map();
    this.due = new Set();
    this.presence = {};
    this.seen = { names: {}, duplicates: 0, refused: [], acks: 0 };
  }

  hear(topic, payload, properties) {
    try {
      const { name, body, levels } = this.contract.read(topic, payload, properties);
      this.seen.names[name] = (this.seen.names[name] ?? 0) + 1;
      if (name.startsWith('st.')) this.status(body, levels);
      if (body.seq !== undefined) this.number(topic, name, body, payload, levels);
    } catch (error) {
      this.seen.refused.push({ topic, why: error.message });
    }
  }

  status(body, levels) {
    const known = this.presence[body.dev];
    const stream = body.stream ?? known?.stream; // a will tells none
    if (known !== undefined && body.session < known.session && stream === known.stream) return;
    this.presence[body.dev] = { session: body.session, state: body.state, stream };
    console.log(body.state);
    if (body.state !== 'online') return;
    const account = this.account(body, levels);
    if (body.seq_oldest > 1) account.excused.push([1, body.seq_oldest - 1]);
    account.advance();
    this.due.add(account);
  }

  number(topic, name, body, payload, levels) {
    const account = this.account(body, levels);
    this.due.add(account);
    if (account.stored.has(body.seq)) {
      this.seen.duplicates += 1;
      return;
    }
    const sha256 = crypto.createHash('sha256').update(payload).digest('hex');
    fs.writeSync(this.store, `${JSON.stringify({ topic, name, body, sha256 })}\n`);
    account.stored.add(body.seq);
    if (name === 'gap') account.excused.push(...body.ranges);
  }

  account(body, levels) {
    const key = `${body.dev}/${body.stream}`;
    if (!this.accounts.has(key)) this.accounts.set(key, Object.assign(new Account(levels), { stream: body.stream }));
    return this.accounts.get(key);
  }

  // What may be said now: the store is made safe first.
  acks() {
    if (this.due.size === 0) return [];
    fs.fsyncSync(this.store);
    const accounts = [...this.due];
    this.due.clear();
    return accounts.map((account) => {
      account.advance();
      this.seen.acks += 1;
      return this.say('ack', account.levels, { stream: account.stream, seq: account.watermark });
    });
  }

  say(name, levels, body) {
    const operation = this.contract.operations.find(
      (one) => one.action === 'receive' && one.messages.some((message) => message.name === name),
    );
    const message = operation.messages.find((one) => one.name === name);
    if (!this.contract.valid(message.payload, body)) throw new Error(`${name}: ${JSON.stringify(body)} is not valid`);
    return {
      topic: operation.address.replace(/\{(\w+)\}/g, (_, level) => levels[level]),
      payload: JSON.stringify(body),
      options: { qos: operation.qos, retain: operation.retain, properties: { contentType: message.contentType } },
    };
  }
}

const contract = new Contract(yaml.load(fs.readFileSync(documentFile, 'utf8')));
const platform = new Platform(contract, fs.openSync(storeFile, 'a'));
const filters = contract.operations
  .filter((operation) => operation.action === 'send')
  .map((operation) => [operation.address.replace(/\{\w+\}/g, '+'), { qos: operation.qos }]);
const client = mqtt.connect(broker, {
  protocolVersion: 5,
  clientId: 'outside',
  clean: false,
  properties: { sessionExpiryInterval: 3600 },
  reconnectPeriod: 200,
});
client.on('connect', () => client.subscribe(Object.fromEntries(filters), () => console.log('listening')));
client.on('message', (topic, payload, packet) => platform.hear(topic, payload, packet.properties ?? {}));
client.on('error', () => {}); // it tries again by itself
setInterval(() => {
  if (!client.connected) return;
  for (const { topic, payload, options } of platform.acks()) client.publish(topic, payload, options);
}, ACK_EVERY_MS);
process.on('SIGTERM', () => {
  for (const account of platform.due) account.advance(); // what came since the last look
  const watermarks = [...platform.accounts.values()].map(({ stream, watermark }) => ({ stream, watermark }));
  console.log(JSON.stringify({ ...platform.seen, watermarks, presence: platform.presence }));
  client.end(true, () => process.exit(0));
});
