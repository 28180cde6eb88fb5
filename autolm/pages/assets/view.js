// The state of the page, which all modules share.
import { DATA } from "./words.js";

const scenes = DATA.scenes;
export const byKey = new Map(scenes.map((each) => [each.key, each]));
export const view = {
  scene: scenes[0],
  position: 0, // index of the moment
  chosen: null, // key of the selected box
  token: DATA.sentence ? DATA.sentence.rows[0].length - 1 : 0, // index in the sentence
  pinned: null, // the scope whose matrices stay in view
  touched: null, // a cell: { id, isGrad, flat }
  isHeld: false, // a clicked cell stays selected when the mouse leaves it
};
// The visible text of the batch and the visible head, shared by all matrices.
export const lead = {};
