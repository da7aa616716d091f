// What @vladmandic/face-api 1.7.15 computes with its own tfjs, for tests/golden/face_api.json:
//     npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz
//     node tests/golden/make_face_api.mjs package $GNOMON_DATA/faces > tests/golden/face_api.json
// `made`: weights and pictures of a formula, so that the test needs neither the package nor photographs.
// `published`: the package's own weights, on a picture of the formula and on three faces.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const [folder, faces] = process.argv.slice(2);
const script = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'face-api-')), 'face-api.mjs');
fs.copyFileSync(path.join(folder, 'dist', 'face-api.esm.js'), script); // node wants .mjs for a module
globalThis.window = globalThis; // the bundle is made for browsers, whose text encoder node has as well
globalThis.document = { createElement: () => ({ getContext: () => null }) };
const api = await import(script);
const { tf } = api;
await tf.setBackend('cpu');
await tf.ready();

/** A byte for each place of an array, the same in Python: made_bytes in the test. */
const madeByte = (place, salt) => ((place * 37 + Math.floor(place / 7) * 101 + Math.floor(place / 251) * 53 + salt * 29) % 256);

function madeWeights(manifest) {
  return Object.fromEntries(manifest[0].weights.map(({ name, shape }, number) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const bytes = Array.from({ length: size }, (_, place) => madeByte(place, number));
    // spread around 0, or around 1 for what multiplies a channel; small where many are added up
    const fanIn = shape.length === 4 ? shape[0] * shape[1] * shape[2] : shape[0];
    const isScale = name.endsWith('scale/weights');
    const [scale, min] = isScale ? [0.5 / 255, 0.75] : [3 / Math.sqrt(fanIn) / 255, -1.5 / Math.sqrt(fanIn)];
    return [name, tf.tensor(bytes.map((byte) => byte * scale + min), shape)];
  }));
}

function publishedWeights(manifest, data) {
  const found = {};
  let place = 0;
  for (const { name, shape, quantization } of manifest[0].weights) {
    const size = shape.reduce((a, b) => a * b, 1);
    const width = quantization ? 1 : 4;
    const bytes = data.buffer.slice(data.byteOffset + place, data.byteOffset + place + width * size);
    place += width * size;
    const values = quantization
      ? Float32Array.from(new Uint8Array(bytes), (byte) => byte * quantization.scale + quantization.min)
      : new Float32Array(bytes);
    found[name] = tf.tensor(values, shape);
  }
  if (place !== data.length) throw new Error(`read ${place} of ${data.length} bytes`);
  return found;
}

const madePicture = (side, salt) => tf.tensor3d(
  Array.from({ length: side * side * 3 }, (_, place) => madeByte(place, salt)), [side, side, 3], 'float32',
);

/** The 75 x 75 pixels from row 20 and column 9 on, each twice in both directions: 150 x 150, of equal channels. */
function face(name) {
  const data = fs.readFileSync(path.join(faces, name));
  const [, width] = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(data.subarray(0, 40).toString('latin1'));
  const start = data.length - 92 * 112;
  const values = [];
  for (let y = 0; y < 150; y += 1) {
    for (let x = 0; x < 150; x += 1) {
      const value = data[start + (20 + (y >> 1)) * Number(width) + 9 + (x >> 1)];
      values.push(value, value, value);
    }
  }
  return tf.tensor3d(values, [150, 150, 3], 'float32');
}

async function descriptor(net, picture) {
  return Array.from(await net.computeFaceDescriptor(picture), (one) => Number(one.toPrecision(7)));
}

async function found(net, picture) {
  const boxes = await net.locateFaces(picture, { inputSize: 416, scoreThreshold: 0.5 });
  return boxes.map(({ score, box }) => [score, box.left, box.top, box.right, box.bottom].map((one) => Number(one.toPrecision(7))));
}

const model = (name) => ({
  manifest: JSON.parse(fs.readFileSync(path.join(folder, 'model', `${name}-weights_manifest.json`))),
  data: fs.readFileSync(path.join(folder, 'model', `${name}.bin`)),
});
const recogniser = model('face_recognition_model');
const detector = model('tiny_face_detector_model');
const out = { package: '@vladmandic/face-api 1.7.15', tfjs: tf.version_core ?? tf.version?.tfjs, made: {}, published: {} };

const net = new api.FaceRecognitionNet();
const load = (one, weights) => { one._params = one.extractParamsFromWeightMap(weights).params; };
load(net, madeWeights(recogniser.manifest));
out.made.vector = await descriptor(net, madePicture(150, 3));
const finder = new api.TinyFaceDetector();
load(finder, madeWeights(detector.manifest));
const grid = await finder.forward(madePicture(96, 5), 96);
out.made.grid = Array.from(await grid.data(), (one) => Number(one.toPrecision(7)));

load(net, publishedWeights(recogniser.manifest, recogniser.data));
load(finder, publishedWeights(detector.manifest, detector.data));
out.published.made_picture = await descriptor(net, madePicture(150, 3));
out.published.faces = {};
for (const name of ['s1/1.pgm', 's1/2.pgm', 's2/1.pgm']) out.published.faces[name] = await descriptor(net, face(name));
/** A scene of 416 x 416 gray pixels with two faces, 92 x 112 each enlarged twice, from (30, 60) and (220, 150) on. */
function scene(names, places) {
  const values = new Float32Array(416 * 416 * 3).fill(110);
  names.forEach((name, number) => {
    const data = fs.readFileSync(path.join(faces, name));
    const start = data.length - 92 * 112;
    const [left, top] = places[number];
    for (let y = 0; y < 224; y += 1) for (let x = 0; x < 184; x += 1) {
      const value = data[start + (y >> 1) * 92 + (x >> 1)];
      for (let c = 0; c < 3; c += 1) values[((top + y) * 416 + left + x) * 3 + c] = value;
    }
  });
  return tf.tensor3d(values, [416, 416, 3], 'float32');
}
out.published.none = await found(finder, madePicture(416, 5));
out.published.one = await found(finder, scene(['s1/1.pgm'], [[120, 100]]));
out.published.two = await found(finder, scene(['s1/1.pgm', 's2/1.pgm'], [[20, 60], [220, 150]]));
console.log(JSON.stringify(out));
