// What computes, from a few bytes to a model: the answer is known beforehand.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/** @typedef {import('../works.mjs').Start} Start */

const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(2000);
const BYTES = Buffer.from(TEXT);

/** @param {() => void} check @returns {Start} of what has no threads */
const synchronous = (make) => (load, directory) => ({ check: make(load, directory) });

/** A model of ONNX that doubles 1,000,000 numbers: Y = X + X. Field and wire type, then the content. */
function doublingModel() {
  const length = (bytes) => {
    const out = [];
    for (let n = bytes.length; ; n >>>= 7) {
      if (n < 128) return [...out, n];
      out.push((n & 127) | 128);
    }
  };
  const text = (value) => [...Buffer.from(value)];
  const field = (number, content) => [(number << 3) | 2, ...length(content), ...content];
  const integer = (number, value) => [number << 3, value];
  const shape = field(2, field(1, field(2, text('n'))));
  const tensor = (name) => [
    ...field(1, text(name)),
    ...field(2, field(1, [...integer(1, 1), ...shape])),
  ];
  const node = [
    ...field(1, text('X')),
    ...field(1, text('X')),
    ...field(2, text('Y')),
    ...field(4, text('Add')),
  ];
  const graph = [
    ...field(1, node),
    ...field(2, text('g')),
    ...field(11, tensor('X')),
    ...field(12, tensor('Y')),
  ];
  return Uint8Array.from([...integer(1, 8), ...field(7, graph), ...field(8, integer(2, 13))]);
}

/** @type {Record<string, Start>} */
export const computing = {
  bcrypt: (load) => {
    const bcrypt = load('bcrypt');
    const known = bcrypt.hashSync('secret', 4);
    return {
      check: () => assert.ok(bcrypt.compareSync('secret', known)),
      async inFlight() {
        const hash = await bcrypt.hash('secret', 8);
        assert.ok(await bcrypt.compare('secret', hash));
      },
    };
  },
  '@node-rs/bcrypt': (load) => {
    const bcrypt = load('@node-rs/bcrypt');
    const known = bcrypt.hashSync('secret', { cost: 4 });
    return {
      check: () => assert.ok(bcrypt.verifySync('secret', known)),
      async inFlight() {
        assert.ok(await bcrypt.verify('secret', await bcrypt.hash('secret', { cost: 8 })));
      },
    };
  },
  argon2: (load) => {
    const argon2 = load('argon2');
    const verify = async (options) =>
      assert.ok(await argon2.verify(await argon2.hash('secret', options), 'secret'));
    return {
      check: () => verify({ timeCost: 2, memoryCost: 1024 }),
      inFlight: () => verify({ parallelism: 4, memoryCost: 16_384 }),
    };
  },
  '@node-rs/argon2': (load) => {
    const argon2 = load('@node-rs/argon2');
    return {
      check: () =>
        assert.ok(argon2.verifySync(argon2.hashSync('secret', { memoryCost: 1024 }), 'secret')),
      async inFlight() {
        assert.ok(
          await argon2.verify(
            await argon2.hash('secret', { parallelism: 4, memoryCost: 16_384 }),
            'secret',
          ),
        );
      },
    };
  },
  'sodium-native': (load) => {
    const sodium = load('sodium-native');
    const key = Buffer.alloc(32, 1);
    const nonce = Buffer.alloc(24, 2);
    return {
      check() {
        const boxed = Buffer.alloc(BYTES.length + 16);
        sodium.crypto_secretbox_easy(boxed, BYTES, nonce, key);
        const opened = Buffer.alloc(BYTES.length);
        assert.ok(sodium.crypto_secretbox_open_easy(opened, boxed, nonce, key));
        assert.deepEqual(opened, BYTES);
        const [one, other] = [Buffer.alloc(32), Buffer.alloc(32)];
        sodium.randombytes_buf(one);
        sodium.randombytes_buf(other);
        assert.notDeepEqual(one, other);
      },
      async inFlight() {
        const out = Buffer.alloc(32);
        const salt = Buffer.alloc(16, 3);
        const word = Buffer.from('secret');
        const algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13;
        await sodium.crypto_pwhash_async(out, word, salt, 2, 16_777_216, algorithm);
        const again = Buffer.alloc(32);
        sodium.crypto_pwhash(again, word, salt, 2, 16_777_216, algorithm);
        assert.deepEqual(out, again);
      },
    };
  },
  secp256k1: synchronous((load) => {
    const secp256k1 = load('secp256k1');
    const key = createHash('sha256').update('key').digest();
    const message = createHash('sha256').update('message').digest();
    const publicKey = secp256k1.publicKeyCreate(key);
    return () => {
      const { signature } = secp256k1.ecdsaSign(message, key);
      assert.ok(secp256k1.ecdsaVerify(signature, message, publicKey));
    };
  }),
  farmhash: synchronous((load) => {
    const farmhash = load('farmhash');
    const known = farmhash.fingerprint64(BYTES);
    return () => assert.equal(farmhash.fingerprint64(BYTES), known);
  }),
  'xxhash-addon': synchronous((load) => {
    const { XXHash3 } = load('xxhash-addon');
    const seed = Buffer.from([1, 2, 3, 4]);
    const whole = new XXHash3(seed);
    whole.update(BYTES);
    const known = whole.digest();
    const streamed = new XXHash3(seed);
    streamed.update(BYTES.subarray(0, 1000));
    return () => {
      streamed.update(BYTES.subarray(1000));
      assert.deepEqual(streamed.digest(), known);
      streamed.reset();
      streamed.update(BYTES.subarray(0, 1000));
    };
  }),
  '@node-rs/xxhash': synchronous((load) => {
    const { xxh64 } = load('@node-rs/xxhash');
    const known = xxh64(BYTES);
    return () => assert.equal(xxh64(BYTES), known);
  }),
  bufferutil: synchronous((load) => {
    const { mask, unmask } = load('bufferutil');
    return () => {
      const masked = Buffer.alloc(BYTES.length);
      const key = Buffer.from([1, 2, 3, 4]);
      mask(BYTES, key, masked, 0, BYTES.length);
      unmask(masked, key);
      assert.deepEqual(masked, BYTES);
    };
  }),
  'utf-8-validate': synchronous((load) => {
    const isValid = load('utf-8-validate');
    return () => {
      assert.ok(isValid(BYTES));
      assert.ok(!isValid(Buffer.from([0xff, 0xfe])));
    };
  }),
  'cpu-features': synchronous((load) => {
    const features = load('cpu-features');
    const { arch } = features();
    return () => assert.equal(features().arch, arch);
  }),
  'msgpackr-extract': synchronous((load) => {
    const { pack, unpack } = load('msgpackr');
    const value = { list: Array.from({ length: 100 }, (_, n) => `text number ${n}`) };
    return () => assert.deepEqual(unpack(pack(value)), value);
  }),
  'cbor-extract': synchronous((load) => {
    const { encode, decode } = load('cbor-x');
    const value = { list: Array.from({ length: 100 }, (_, n) => `text number ${n}`) };
    return () => assert.deepEqual(decode(encode(value)), value);
  }),
  iconv: synchronous((load) => {
    const { Iconv } = load('iconv');
    const converter = new Iconv('UTF-8', 'ISO-8859-1');
    return () => assert.deepEqual(converter.convert('é'), Buffer.from([0xe9]));
  }),
  'node-expat': synchronous((load) => {
    const expat = load('node-expat');
    return () => {
      const names = [];
      const parser = new expat.Parser('UTF-8');
      parser.on('startElement', (name) => names.push(name));
      assert.ok(parser.parse('<a><b/></a>', true));
      assert.deepEqual(names, ['a', 'b']);
    };
  }),
  libxmljs2: synchronous((load) => {
    const { parseXml } = load('libxmljs2');
    const kept = parseXml('<a><b>text</b></a>');
    return () => {
      assert.equal(kept.get('//b').text(), 'text');
      assert.equal(parseXml('<a x="1"/>').root().attr('x').value(), '1');
    };
  }),
  re2: synchronous((load) => {
    const RE2 = load('re2');
    const expression = new RE2('fox (\\w+)', 'g');
    return () =>
      assert.equal(TEXT.match(expression)?.length ?? expression.match(TEXT).length, 2000);
  }),
  snappy: (load) => {
    const snappy = load('snappy');
    return {
      check: () => assert.deepEqual(snappy.uncompressSync(snappy.compressSync(BYTES)), BYTES),
      async inFlight() {
        const much = Buffer.concat(Array.from({ length: 200 }, () => BYTES));
        assert.ok(much.equals(await snappy.uncompress(await snappy.compress(much))));
      },
    };
  },
  iltorb: (load) => {
    const { compress, decompress } = load('iltorb');
    const back = async (bytes) =>
      assert.ok(bytes.equals(await decompress(await compress(bytes, { quality: 5 }))));
    return {
      check: () => back(BYTES),
      inFlight: () => back(Buffer.concat(Array.from({ length: 20 }, () => BYTES))),
    };
  },
  '@mongodb-js/zstd': (load) => {
    const { compress, decompress } = load('@mongodb-js/zstd');
    const back = async (bytes, level) =>
      assert.ok(bytes.equals(await decompress(await compress(bytes, level))));
    return {
      check: () => back(BYTES, 3),
      inFlight: () => back(Buffer.concat(Array.from({ length: 20 }, () => BYTES)), 15),
    };
  },
  'tree-sitter': (load) => {
    const Parser = load('tree-sitter');
    const parser = new Parser();
    parser.setLanguage(load('tree-sitter-json'));
    const kept = parser.parse('{"a": [1, 2]}');
    return {
      check() {
        assert.match(kept.rootNode.toString(), /array/);
        assert.equal(parser.parse('[1, 2, 3]').rootNode.child(0).namedChildCount, 3);
      },
    };
  },
  'hnswlib-node': (load) => {
    const { HierarchicalNSW } = load('hnswlib-node');
    const index = new HierarchicalNSW('l2', 16);
    index.initIndex(2000);
    const point = (n) => Array.from({ length: 16 }, (_, i) => ((n + 1) * (i + 3)) % 101);
    for (let n = 0; n < 500; n++) index.addPoint(point(n), n);
    return {
      check: () => assert.equal(index.searchKnn(point(7), 1).distances[0], 0),
    };
  },
  tokenizers: async (load) => {
    const { Tokenizer, BPE } = load('tokenizers');
    const model = BPE.init({ a: 0, b: 1, ab: 2 }, [['a', 'b']]);
    const tokenizer = new Tokenizer(model);
    const encode = async (text) => (await tokenizer.encode(text)).getIds();
    return {
      check: async () => assert.deepEqual([...(await encode('abab'))], [2, 2]),
      async inFlight() {
        assert.equal((await encode('ab'.repeat(30_000))).length, 30_000);
      },
    };
  },
  'onnxruntime-node': async (load) => {
    const { InferenceSession, Tensor } = load('onnxruntime-node');
    const session = await InferenceSession.create(doublingModel(), { intraOpNumThreads: 4 });
    const double = async (count) => {
      const { Y } = await session.run({
        X: new Tensor('float32', new Float32Array(count).fill(1.5)),
      });
      assert.equal(Y.data.length, count);
      assert.ok(Y.data.every((value) => value === 3));
    };
    return { check: () => double(1000), inFlight: () => double(500_000) };
  },
  ssh2: synchronous((load) => {
    const { utils } = load('ssh2');
    const { createCipher } = load('ssh2/lib/protocol/crypto.js');
    assert.equal(typeof createCipher, 'function');
    return () => {
      const { private: key } = utils.generateKeyPairSync('ed25519');
      assert.equal(utils.parseKey(key).type, 'ssh-ed25519');
    };
  }),
};
