//! Where a connection really comes from, as a trusted proxy tells it: the PROXY protocol, versions 1 and 2, and the
//! last entry of `X-Forwarded-For`.
//!
//! Invariants: nothing is believed that does not follow the specification (haproxy's `doc/proxy-protocol.txt`); a
//! header is bounded by [`PROXY_HEADER_BYTES_MAX`]. Never here: who is trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// Longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;
/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

/// The connection does not begin with a PROXY header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadProxyHeader;

/// A header: its length, and the client's address when the proxy knows one (a health check of its own has none).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyHeader {
    /// Bytes of the header; what follows is the client's.
    pub length: usize,
    /// Where the client is.
    pub client: Option<IpAddr>,
}

/// Reads the header at the front of `bytes`. `None` when it is not whole yet.
///
/// # Errors
/// There is none, or it is longer than [`PROXY_HEADER_BYTES_MAX`].
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadProxyHeader> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(have, want)| have == want);
    if begins(SIGNATURE) {
        parse_v2(bytes)
    } else if begins(b"PROXY ") {
        parse_v1(bytes)
    } else {
        Err(BadProxyHeader)
    }
}

/// `PROXY TCP4 192.0.2.7 198.51.100.1 56324 443`, or `PROXY UNKNOWN` and anything.
fn parse_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadProxyHeader> {
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(BadProxyHeader) };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| BadProxyHeader)?;
    let words: Vec<&str> = line.split(' ').collect();
    let client = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family, from, to, from_port, to_port] => {
            let ports_are_numbers = from_port.parse::<u16>().is_ok() && to_port.parse::<u16>().is_ok();
            let addresses = from.parse().ok().zip(to.parse().ok()).filter(|pair| fits(family, pair));
            let (from, _) = addresses.filter(|_| ports_are_numbers).ok_or(BadProxyHeader)?;
            Some(from)
        }
        _ => return Err(BadProxyHeader),
    };
    Ok(Some(ProxyHeader { length: end + 2, client: client.map(|ip: IpAddr| ip.to_canonical()) }))
}

fn fits(family: &str, (from, to): &(IpAddr, IpAddr)) -> bool {
    match family {
        "TCP4" => from.is_ipv4() && to.is_ipv4(),
        "TCP6" => from.is_ipv6() && to.is_ipv6(),
        _ => false,
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, BadProxyHeader> {
    let Some(&fixed) = bytes.first_chunk::<FIXED_BYTES>() else { return Ok(None) };
    let [.., version_and_command, family, high, low] = fixed;
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > PROXY_HEADER_BYTES_MAX || !matches!(version_and_command, 0x20 | 0x21) {
        return Err(BadProxyHeader);
    }
    let Some(addresses) = bytes.get(FIXED_BYTES..length) else { return Ok(None) };
    // LOCAL: the proxy speaks for itself. A family other than TCP says nothing that is known here.
    let client = match (version_and_command, family) {
        (0x21, 0x11) => {
            let from = addresses.first_chunk::<12>().ok_or(BadProxyHeader)?;
            Some(Ipv4Addr::new(from[0], from[1], from[2], from[3]).into())
        }
        (0x21, 0x21) => {
            let pair = addresses.first_chunk::<36>().ok_or(BadProxyHeader)?;
            let from = pair.first_chunk::<16>().expect("36 bytes begin with 16");
            Some(IpAddr::from(Ipv6Addr::from(*from)).to_canonical())
        }
        _ => None,
    };
    Ok(Some(ProxyHeader { length, client }))
}

/// The address that the nearest proxy saw: the last entry of `X-Forwarded-For`. Those before it are the client's
/// claims, and may be any bytes.
#[must_use]
pub fn forwarded_client(header: &[u8]) -> Option<IpAddr> {
    let last = header.rsplit(|&byte| byte == b',').next()?.trim_ascii();
    let last = str::from_utf8(last).ok()?;
    let bare = last.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(last, |(address, _)| address);
    let address: IpAddr = bare.parse().ok().or_else(|| {
        let (address, port) = bare.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        address.parse::<Ipv4Addr>().ok().map(IpAddr::from)
    })?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{BadProxyHeader, ProxyHeader, forwarded_client, parse_proxy_header};

    const V2_HEAD: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn v2(command: u8, family: u8, length: u16, addresses: &[u8]) -> Vec<u8> {
        [V2_HEAD, &[command, family], &length.to_be_bytes(), addresses].concat()
    }

    /// A header is recognised with and without bytes behind it, and every shorter beginning is incomplete.
    fn check(header: &[u8], client: Option<&str>) {
        let client = client.map(|text| text.parse().expect("an address"));
        let expected = Ok(Some(ProxyHeader { length: header.len(), client }));
        assert_eq!(parse_proxy_header(header), expected, "{header:?}");
        assert_eq!(parse_proxy_header(&[header, b"GET / HTTP/1.1\r\n"].concat()), expected, "{header:?}");
        for cut in 0..header.len() {
            assert_eq!(parse_proxy_header(&header[..cut]), Ok(None), "{header:?} cut at {cut}");
        }
    }

    #[test]
    fn headers_of_both_versions_tell_the_client() {
        check(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", Some("192.0.2.7"));
        check(b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", Some("2001:db8::7"));
        check(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", Some("192.0.2.7"));
        check(b"PROXY UNKNOWN\r\n", None);
        check(b"PROXY UNKNOWN ffff:f 1 2\r\n", None);
        check(&v2(0x21, 0x11, 12, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 2]), Some("192.0.2.7"));
        check(&v2(0x21, 0x11, 15, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 2, 4, 0, 0]), Some("192.0.2.7"));
        let mut six = [0_u8; 36];
        (six[0], six[1], six[15]) = (0x20, 0x01, 9);
        check(&v2(0x21, 0x21, 36, &six), Some("2001::9"));
        check(&v2(0x20, 0x00, 0, &[]), None);
        check(&v2(0x20, 0x11, 12, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 2]), None);
        check(&v2(0x21, 0x31, 4, &[0; 4]), None);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 120]].concat();
        let cases: Vec<Vec<u8>> = vec![
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 70000\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY \xff\r\n".to_vec(),
            long,
            v2(0x31, 0x11, 12, &[0; 12]),
            v2(0x22, 0x11, 12, &[0; 12]),
            v2(0x21, 0x11, 4, &[0; 4]),
            v2(0x21, 0x21, 12, &[0; 12]),
            v2(0x21, 0x11, 60_000, &[]),
        ];
        for bytes in cases {
            assert_eq!(parse_proxy_header(&bytes), Err(BadProxyHeader), "{bytes:?}");
        }
    }

    /// Every byte replaced by every other: no panic, no more than the bytes that are there, and the same verdict
    /// however the bytes are cut.
    #[test]
    fn a_damaged_header_is_read_the_same_in_one_piece_and_in_many() {
        let mut six = [0_u8; 36];
        (six[0], six[15]) = (0x20, 9);
        let headers = [
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET".to_vec(),
            [v2(0x21, 0x11, 12, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 2]), b"GET".to_vec()].concat(),
            [v2(0x21, 0x21, 36, &six), b"GET".to_vec()].concat(),
        ];
        for mut header in headers {
            for at in 0..header.len() {
                let whole = header[at];
                for byte in 0..=u8::MAX {
                    header[at] = byte;
                    let verdict = parse_proxy_header(&header);
                    let in_pieces = (0..=header.len()).map(|cut| parse_proxy_header(&header[..cut]));
                    let first = in_pieces.into_iter().find(|verdict| *verdict != Ok(None)).unwrap_or(Ok(None));
                    assert_eq!(first, verdict, "{header:?}");
                    assert!(
                        verdict.is_err()
                            || verdict.is_ok_and(|read| read.is_none_or(|read| read.length <= header.len()))
                    );
                }
                header[at] = whole;
            }
        }
    }

    #[test]
    fn only_the_last_forwarded_address_counts() {
        let check = |header: &str, client: Option<&str>| {
            assert_eq!(
                forwarded_client(header.as_bytes()),
                client.map(|text| text.parse().expect("an address")),
                "{header}"
            );
        };
        check("192.0.2.7", Some("192.0.2.7"));
        check("6.6.6.6, 192.0.2.7", Some("192.0.2.7"));
        check("6.6.6.6,  ::ffff:192.0.2.7 ", Some("192.0.2.7"));
        check("192.0.2.7:443", Some("192.0.2.7"));
        check("[2001:db8::7]:443", Some("2001:db8::7"));
        check("2001:db8::7", Some("2001:db8::7"));
        check("unknown", None);
        check("6.6.6.6, ", None);
        check("", None);
        assert_eq!(forwarded_client(b"\xff, 192.0.2.7"), Some([192, 0, 2, 7].into()), "claims may be any bytes");
        assert_eq!(forwarded_client(b"192.0.2.7\xff"), None);
    }
}
