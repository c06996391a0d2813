//! The web client, embedded in the binary.
//!
//! Owns: which files of `static/` are served, their names and media types, and the policy of the page. Invariant: the
//! page needs nothing that is not here. Never here: responses.

/// A file as it is served.
#[derive(PartialEq, Eq, Debug)]
pub struct File {
    /// Its name below `/static/`.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: &'static [u8],
}

/// What the page at `/` may do: its own script, style and pictures, and WebSockets anywhere, since it can be pointed at
/// another server.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page at `/`.
pub static PAGE: File = File {
    name: "websocket_client.html",
    content_type: "text/html; charset=utf-8",
    body: include_bytes!("../static/websocket_client.html"),
};

static FILES: [File; 18] = [
    File { name: "butaca-page.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-page.js") },
    File {
        name: "butaca-page.css",
        content_type: "text/css; charset=utf-8",
        body: include_bytes!("../static/butaca-page.css"),
    },
    File { name: "butaca.svg", content_type: "image/svg+xml", body: include_bytes!("../static/butaca.svg") },
    // The page does not load these; applications may import the first one from here, and it imports the others.
    File { name: "butaca-client.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-client.js") },
    File { name: "butaca-asks.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-asks.js") },
    File { name: "butaca-clock.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-clock.js") },
    File { name: "butaca-inbox.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-inbox.js") },
    File { name: "butaca-layouts.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-layouts.js") },
    File { name: "butaca-link.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-link.js") },
    File { name: "butaca-map.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-map.js") },
    File { name: "butaca-pace.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-pace.js") },
    File { name: "butaca-protocol.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-protocol.js") },
    File { name: "butaca-requests.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-requests.js") },
    File { name: "butaca-room.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-room.js") },
    File { name: "butaca-session.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-session.js") },
    File { name: "butaca-token.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-token.js") },
    File { name: "butaca-v1.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-v1.js") },
    File { name: "butaca-v2.js", content_type: SCRIPT, body: include_bytes!("../static/butaca-v2.js") },
];

/// The file of this name below `/static/`.
#[must_use]
pub fn find(name: &str) -> Option<&'static File> {
    FILES.iter().chain([&PAGE]).find(|file| file.name == name)
}
