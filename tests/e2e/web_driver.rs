//! A person with a browser: Debian's Chromium, driven through the WebDriver protocol (W3C), which
//! is JSON over HTTP. No library is needed for the few commands that tests use.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use posthouse_tests::{ports, proc};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::web_site::HOST;

/// The key under which the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The header that browsers complain about without TLS, where it means nothing.
const ONLY_TLS: &str = "Cross-Origin-Opener-Policy";
/// How long the browser may take for one command, and to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a page is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// The screen that the browser believes to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// 1000 pixels wide.
    Desk,
    /// 1400 pixels wide.
    Wide,
    /// 360 pixels wide, twice as dense.
    Phone,
}

impl Screen {
    /// Of the window; a phone has another one besides.
    fn size(self) -> &'static str {
        match self {
            Self::Desk | Self::Phone => "1000,965",
            Self::Wide => "1400,965",
        }
    }
}

/// A browser with one window. It ends with its guard.
pub(crate) struct Browser {
    driver: SocketAddr,
    session: String,
    // Before the directory, so that the browser has ended when its files go.
    _process: proc::Proc,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn open(screen: Screen) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let driver = ports::free_addr();
        let process = start_driver(&profile, driver);
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options(&profile, screen),
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = ask(driver, "POST", "/session", &wanted).await;
        let session = begun["sessionId"].as_str().expect("a session").to_owned();
        Self {
            driver,
            session,
            _process: process,
            _profile: profile,
        }
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) async fn go(&self, url: &str) {
        self.tell("url", json!({ "url": url })).await;
    }

    /// Waits until a person can read these words on the page: what a press leads to takes time.
    pub(crate) async fn see(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.measure("return document.body.innerText").await;
            if text.as_str().is_some_and(|text| text.contains(words)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{words}: not on the page\n{text}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Presses what the CSS selector finds first.
    pub(crate) async fn press(&self, selector: &str) {
        let element = self.find(selector).await;
        self.tell(&format!("element/{element}/click"), json!({}))
            .await;
    }

    /// Runs a script in the page, which the page itself may not, and returns what it returns.
    pub(crate) async fn measure(&self, script: &str) -> Value {
        self.tell("execute/sync", json!({ "script": script, "args": [] }))
            .await
    }

    /// The same with a script that calls its last argument when it is done.
    pub(crate) async fn wait_for_script(&self, script: &str) -> Value {
        self.tell("execute/async", json!({ "script": script, "args": [] }))
            .await
    }

    /// Lets the page believe that the person prefers dark colours.
    pub(crate) async fn prefer_dark(&self) {
        self.prefer_colours(true).await;
    }

    /// Lets the page believe that the person prefers dark or light colours.
    pub(crate) async fn prefer_colours(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        let command =
            json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.tell("goog/cdp/execute", command).await;
    }

    /// Lets the browser ask for pages in these languages.
    pub(crate) async fn prefer_language(&self, languages: &str) {
        let agent = self.measure("return navigator.userAgent").await;
        let wanted = json!({ "userAgent": agent, "acceptLanguage": languages });
        let command = json!({ "cmd": "Emulation.setUserAgentOverride", "params": wanted });
        self.tell("goog/cdp/execute", command).await;
    }

    /// What the browser complained about: blocked styles, missing pictures.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.tell("se/log", json!({ "type": "browser" })).await;
        let lines = log.as_array().into_iter().flatten();
        let texts = lines.map(|line| line["message"].to_string());
        texts.filter(|text| !text.contains(ONLY_TLS)).collect()
    }

    /// A picture of what the window shows, PNG in base 64.
    pub(crate) async fn picture(&self) -> String {
        let path = format!("/session/{}/screenshot", self.session);
        let picture = ask(self.driver, "GET", &path, &Value::Null).await;
        picture.as_str().expect("a picture").to_owned()
    }

    /// Writes into what the CSS selector finds first.
    pub(crate) async fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.tell(&format!("element/{element}/value"), json!({ "text": text }))
            .await;
    }

    async fn find(&self, selector: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.tell("element", wanted).await;
        let id = found[ELEMENT].as_str();
        id.unwrap_or_else(|| panic!("{selector}: {found}"))
            .to_owned()
    }

    async fn tell(&self, command: &str, what: Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        ask(self.driver, "POST", &path, &what).await
    }

    /// Closes the window in good order.
    pub(crate) async fn close(self) {
        let path = format!("/session/{}", self.session);
        ask(self.driver, "DELETE", &path, &Value::Null).await;
    }
}

fn start_driver(profile: &TempDir, addr: SocketAddr) -> proc::Proc {
    let driver = proc::require("chromedriver", "chromium-driver");
    let mut command = Command::new(driver);
    command.arg(format!("--port={}", addr.port()));
    let log = profile.path().join("chromedriver.log");
    let process = proc::Proc::spawn("chromedriver", &mut command, &log);
    process.wait_until("listening", PATIENCE, || ports::is_open(addr));
    process
}

fn options(profile: &TempDir, screen: Screen) -> Value {
    let data = profile.path().join("profile");
    let mut options = json!({
        "binary": proc::require("chromium", "chromium"),
        "args": [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            format!("--window-size={}", screen.size()),
            format!("--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND"),
            format!("--user-data-dir={}", data.display()),
        ],
    });
    if screen == Screen::Phone {
        let metrics = json!({ "width": 360, "height": 740, "pixelRatio": 2.0 });
        options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
    }
    options
}

/// One command; its value. Panics with the driver's words if it fails.
async fn ask(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let heard = tokio::time::timeout(PATIENCE, exchange(driver, method, path, body)).await;
    let answer = heard.unwrap_or_else(|_| panic!("no answer to {method} {path}"));
    let mut answer: Value = serde_json::from_slice(&answer).expect("the driver speaks JSON");
    let value = answer["value"].take();
    assert!(value.get("error").is_none(), "{method} {path}: {value}");
    value
}

/// One HTTP request on a connection of its own; the body of the answer.
async fn exchange(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Vec<u8> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {driver}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(driver).await.expect("it listens");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("the driver reads");
    let mut whole = Vec::new();
    loop {
        let read = stream
            .read_buf(&mut whole)
            .await
            .expect("the driver answers");
        if let Some(body) = complete(&whole) {
            return body.to_vec();
        }
        assert_ne!(read, 0, "the driver hung up");
    }
}

/// The body, once all of it is here.
fn complete(whole: &[u8]) -> Option<&[u8]> {
    let end = whole.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&whole[..end]).ok()?;
    let length: usize = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let wanted = name.eq_ignore_ascii_case("content-length");
        wanted.then(|| value.trim().parse().ok())?
    })?;
    whole.get(end..end + length)
}
