"""Drives headless Chromium over its debugging pipe, with nothing but the standard library, for tests of pages."""

import base64
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import time

PROGRAM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
FLAGS = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--enable-unsafe-swiftshader',  # WebGL without a GPU
         '--host-resolver-rules=MAP * ~NOTFOUND',  # no network
         '--window-size=1280,800', '--remote-debugging-pipe')


class Page:
    """A page open in a browser of its own.

    Args:
        url: to open.
        profile: an empty folder.
    Attributes:
        requests: URLs that it asked for, but for its own and for data.
        complaints: errors and warnings on the console, and exceptions.
    """

    def __init__(self, url, profile, timeout=60):
        self.timeout, self.number, self.buffer = timeout, 0, b''
        self.requests, self.complaints = [], []
        ours, theirs = os.pipe(), os.pipe()  # we write to the first and read from the second

        def descriptors():  # Chromium reads from 3 and writes to 4
            low, high = os.dup(ours[0]), os.dup(theirs[1])
            low, high = os.dup2(low, 30), os.dup2(high, 31)
            os.dup2(low, 3, inheritable=True)
            os.dup2(high, 4, inheritable=True)

        self.process = subprocess.Popen([PROGRAM, *FLAGS, f'--user-data-dir={profile}', 'about:blank'],
                                        preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ours[0])
        os.close(theirs[1])
        self.write_end, self.read_end = ours[1], theirs[0]
        self.session = None
        targets = self.call('Target.getTargets')['targetInfos']
        target = next(target['targetId'] for target in targets if target['type'] == 'page')
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.call(f'{domain}.enable')
        self.url = url
        self.call('Page.navigate', url=url)
        self.wait_for('document.readyState === "complete"')

    def close(self):
        with contextlib.suppress(Exception):
            self.session = None
            self.call('Browser.close')
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)

    def call(self, method, **parameters):
        """Call a method of the DevTools protocol and give its result."""
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') == self.number:
                assert 'error' not in answer, answer['error']
                return answer['result']

    def _next(self):
        """The next message. Messages about requests and the console are kept."""
        deadline = time.monotonic() + self.timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.read_end, selectors.EVENT_READ)
            while b'\0' not in self.buffer:
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    raise TimeoutError('Chromium does not answer')
                content = os.read(self.read_end, 1 << 16)
                if not content:
                    raise EOFError('Chromium has ended')
                self.buffer += content
        content, self.buffer = self.buffer.split(b'\0', 1)
        message = json.loads(content)
        method, parameters = message.get('method'), message.get('params', {})
        if method == 'Network.requestWillBeSent':
            url = parameters['request']['url']
            if not url.startswith(('data:', 'blob:')) and url != self.url:
                self.requests.append(url)
        elif method == 'Runtime.exceptionThrown':
            self.complaints.append(str(parameters['exceptionDetails']))
        elif method == 'Runtime.consoleAPICalled' and parameters['type'] in ('error', 'warning', 'assert'):
            self.complaints.append(str(parameters['args']))
        elif method == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.complaints.append(parameters['entry']['text'])
        return message

    def value(self, expression):
        """The value of a JavaScript expression."""
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in result, result['exceptionDetails']
        return result['result'].get('value')

    def wait_for(self, expression):
        deadline = time.monotonic() + self.timeout
        while not self.value(expression):
            assert time.monotonic() < deadline, f'not so after {self.timeout} s: {expression}'
            time.sleep(0.05)

    def mouse(self, kind, x, y, buttons=0):
        """kind: mousePressed, mouseMoved or mouseReleased."""
        button = 'none' if kind == 'mouseMoved' and not buttons else 'left'
        self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button=button, buttons=buttons,
                  clickCount=0 if kind == 'mouseMoved' else 1)

    def screenshot(self):
        """PNG bytes."""
        return base64.b64decode(self.call('Page.captureScreenshot', format='png')['data'])
