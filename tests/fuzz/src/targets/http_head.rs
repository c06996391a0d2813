//! Request heads: any bytes are read, refused or waited for, the same however they are cut, and every answer is HTTP.

use butaca::engine::time::WallMillis;
use butaca::limits::HTTP_HEAD_BYTES_MAX;
use butaca::wire::http::{Target, is_head, parse_head};
use butaca::wire::respond::{JSON, Manner, accept_upgrade, respond, respond_error};

/// Up to this length every cut is tried.
const ALL_CUTS_MAX: usize = 600;

/// Reads `data` as one request head.
pub fn run(data: &[u8]) {
    let whole = parse_head(data);
    let mut out = Vec::new();
    match &whole {
        Ok(None) => assert!(data.len() < HTTP_HEAD_BYTES_MAX),
        Ok(Some((used, request))) => {
            assert!(*used <= data.len() && *used <= HTTP_HEAD_BYTES_MAX);
            match &request.target {
                Target::Socket { accept_key, protocol, .. } => accept_upgrade(&mut out, accept_key, *protocol),
                target => {
                    let body = format!("{target:?}");
                    respond(&mut out, 200, JSON, body.as_bytes(), manner(request.keep_alive), request.head_only, &[]);
                }
            }
        }
        Err(error) => respond_error(&mut out, *error, manner(false), is_head(data)),
    }
    check_response(&out);
    if data.len() <= ALL_CUTS_MAX {
        let first = (0..=data.len()).map(|end| parse_head(&data[..end])).find(|parsed| *parsed != Ok(None));
        assert_eq!(first.unwrap_or(Ok(None)), whole, "another cut, another result");
    }
}

fn manner(keep_alive: bool) -> Manner<'static> {
    Manner { keep_alive, allow_origin: "*", now: WallMillis(0) }
}

fn check_response(out: &[u8]) {
    if !out.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        assert!(response.parse(out).expect("the answer is HTTP").is_complete());
    }
}
