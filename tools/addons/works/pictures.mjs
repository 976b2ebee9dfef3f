// Pictures: libraries with threads and caches of their own.

import assert from 'node:assert/strict';

/** @typedef {import('../works.mjs').Start} Start */

/** Red from end to end. */
async function isRed(sharp, side) {
  const picture = sharp({ create: { width: side, height: side, channels: 3, background: 'red' } });
  const png = await picture.blur(3).png().toBuffer();
  const { data, info } = await sharp(png)
    .resize(32, 32)
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.equal(info.width, 32);
  assert.ok(data[0] > 250 && data[1] < 5 && data[2] < 5);
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

/** @type {Record<string, Start>} */
export const pictures = {
  sharp: (load) => {
    const sharp = load('sharp');
    return { check: () => isRed(sharp, 64), inFlight: () => isRed(sharp, 500) };
  },
  canvas: (load) => {
    const { createCanvas } = load('canvas');
    const canvas = createCanvas(600, 600);
    const context = canvas.getContext('2d');
    return {
      check() {
        context.fillStyle = '#0000ff';
        context.fillRect(0, 0, 600, 600);
        context.strokeText('text', 100, 100);
        assert.deepEqual([...context.getImageData(5, 5, 1, 1).data], [0, 0, 255, 255]);
      },
      async inFlight() {
        const png = await new Promise((resolve, reject) => {
          canvas.toBuffer((error, buffer) => (error ? reject(error) : resolve(buffer)));
        });
        assert.deepEqual(png.subarray(0, 8), SIGNATURE);
      },
    };
  },
  '@napi-rs/canvas': (load) => {
    const { createCanvas } = load('@napi-rs/canvas');
    const canvas = createCanvas(600, 600);
    const context = canvas.getContext('2d');
    return {
      check() {
        context.fillStyle = '#0000ff';
        context.fillRect(0, 0, 600, 600);
        assert.deepEqual([...context.getImageData(5, 5, 1, 1).data], [0, 0, 255, 255]);
      },
      async inFlight() {
        assert.deepEqual((await canvas.encode('png')).subarray(0, 8), SIGNATURE);
      },
    };
  },
  '@napi-rs/image': (load) => {
    const { Transformer } = load('@napi-rs/image');
    const red = (side) => {
      const pixels = new Uint8Array(side * side * 4);
      for (let at = 0; at < pixels.length; at += 4) pixels.set([255, 0, 0, 255], at);
      return Transformer.fromRgbaPixels(pixels, side, side);
    };
    return {
      check() {
        assert.deepEqual(red(16).pngSync().subarray(0, 8), SIGNATURE);
      },
      async inFlight() {
        const png = await red(600).resize(300, 300).png();
        const { width } = await new Transformer(png).metadata();
        assert.equal(width, 300);
      },
    };
  },
};
