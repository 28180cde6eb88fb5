// Tells VS Code how `autolm dap` is started, and adds what its buttons lack. The rest is Python.
const vscode = require('vscode');

const CONFIGURATION = { type: 'autolm', request: 'launch', name: 'Step through backprop' };

function start(uri) {
  const file = uri ?? vscode.window.activeTextEditor?.document.uri;
  const folder = file && vscode.workspace.getWorkspaceFolder(file);
  return vscode.debug.startDebugging(folder, { ...CONFIGURATION, program: file?.fsPath });
}

// The token is asked for when all else is known: a launch.json may name a variable for it.
async function askForToken(folder, configuration) {
  if (configuration.request === 'attach' && !configuration.token) {
    configuration.token = await vscode.window.showInputBox({
      title: 'autolm: attach',
      prompt: 'The token in the line "autolm dap: listening on …, token …" of the program',
      ignoreFocusOut: true,
      password: true,
    });
    if (!configuration.token) return undefined; // cancelled
  }
  return configuration;
}

function resolve(folder, told) {
  const configuration = told.type ? told : { ...CONFIGURATION };
  if (configuration.request === 'launch') {
    configuration.program ??= vscode.window.activeTextEditor?.document.uri.fsPath;
    configuration.cwd ??= folder?.uri.fsPath;
    configuration.python ??= vscode.workspace.getConfiguration('autolm', folder).get('python');
  }
  return configuration;
}

function adapter({ configuration }) {
  if (configuration.request === 'attach') {
    return new vscode.DebugAdapterServer(configuration.port, '127.0.0.1');
  }
  const [command, ...first] = [configuration.python].flat();
  return new vscode.DebugAdapterExecutable(command, [...first, '-P', '-m', 'autolm', 'dap']);
}

function ask(command, told) {
  return vscode.debug.activeDebugSession.customRequest(command, { threadId: 1, ...told });
}

async function toStartOfModule() {
  const { stackFrames } = await ask('stackTrace', {});
  return ask('restartFrame', { frameId: (stackFrames[1] ?? stackFrames[0]).id });
}

// At each stop VS Code asks for the values beside the lines: here, the gradients that have arrived.
async function provideInlineValues(document) {
  if (vscode.debug.activeDebugSession?.type !== 'autolm') return [];
  const { lines } = await ask('lineGradients', { path: document.uri.fsPath });
  return lines.map(({ line, text }) => {
    return new vscode.InlineValueText(document.lineAt(line - 1).range, text);
  });
}

exports.activate = ({ subscriptions }) => {
  const { registerCommand } = vscode.commands;
  subscriptions.push(
    registerCommand('autolm.step', start),
    registerCommand('autolm.stepIntoBack', () => ask('stepBack', { granularity: 'instruction' })),
    registerCommand('autolm.stepOutBack', toStartOfModule),
    vscode.languages.registerInlineValuesProvider('python', { provideInlineValues }),
    vscode.debug.registerDebugConfigurationProvider('autolm', {
      resolveDebugConfiguration: resolve,
      resolveDebugConfigurationWithSubstitutedVariables: askForToken,
    }),
    vscode.debug.registerDebugAdapterDescriptorFactory('autolm', {
      createDebugAdapterDescriptor: adapter,
    }),
  );
};
