// The state of the page: one object, which every module reads and changes.
import { DATA } from "./words.js";

const scenes = DATA.scenes;
export const byKey = new Map(scenes.map((each) => [each.key, each]));
export const view = {
  scene: scenes[0],
  position: 0, // the moment of the scene
  chosen: null, // the key of a box
  token: DATA.sentence ? DATA.sentence.rows[0].length - 1 : 0, // the place in the sentence
  pinned: null, // the scope whose matrices stay in view
  touched: null, // a cell: { id, isGrad, flat }
  isHeld: false, // by a click, so that one can leave the cell with the mouse
};
// Which text of a batch, and which head, is in view: the same one in all matrices.
export const lead = {};
