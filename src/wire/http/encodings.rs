//! `Accept-Encoding` (RFC 9110 section 12.5.3): whether an answer may be compressed by gzip.
//!
//! Invariant: what cannot be understood allows nothing. Never here: compressing.

/// How much somebody likes something, in thousandths.
type Weight = u16;

const FULL: Weight = 1_000;

/// What all lines say together.
#[derive(Clone, Copy, Default)]
pub(super) struct Encodings {
    gzip: Option<Weight>,
    identity: Option<Weight>,
    /// What is not named.
    others: Option<Weight>,
}

impl Encodings {
    /// Reads a line.
    pub(super) fn read(&mut self, line: &[u8]) {
        for member in line.split(|&byte| byte == b',') {
            let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let like = match &*name {
                b"gzip" | b"x-gzip" => &mut self.gzip,
                b"identity" => &mut self.identity,
                b"*" => &mut self.others,
                _ => continue,
            };
            *like = Some(parts.next().map_or(Some(FULL), weight).unwrap_or(0));
        }
    }

    /// Whether gzip is allowed, and the client does not rather have the answer as it is.
    pub(super) fn takes_gzip(self) -> bool {
        let gzip = self.gzip.or(self.others).unwrap_or(0);
        gzip > 0 && self.identity.is_none_or(|identity| gzip >= identity)
    }
}

/// `q=` and 0 to 1 with at most three digits behind the point.
fn weight(parameter: &[u8]) -> Option<Weight> {
    let text = str::from_utf8(parameter).ok()?;
    let value = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))?;
    let (whole, digits) = value.split_once('.').unwrap_or((value, ""));
    let is_number = digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: Weight = format!("{digits:0<3}").parse().ok().filter(|_| is_number)?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Encodings;

    #[test]
    fn gzip_is_taken_when_it_is_allowed_and_not_worse() {
        let check = |lines: &[&str], takes_gzip: bool| {
            let mut encodings = Encodings::default();
            lines.iter().for_each(|line| encodings.read(line.as_bytes()));
            assert_eq!(encodings.takes_gzip(), takes_gzip, "{lines:?}");
        };
        for yes in ["gzip", "GZip", "x-gzip", "*", "br, gzip", "gzip;q=0.001", "gzip ; q=1.000", "identity;q=0.5,*"] {
            check(&[yes], true);
        }
        for no in ["", "br", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=0", "*, gzip;q=0", "gzip2", "gzip;q=2"] {
            check(&[no], false);
        }
        for no in
            ["gzip;q=0.5, identity", "gzip;q=", "gzip;q=1.5", "gzip;q=0.0001", "gzip;x", "gzip;q=-1", "gzip;q=+0.5"]
        {
            check(&[no], false);
        }
        check(&[], false);
        check(&["br", "gzip"], true);
        check(&["*", "gzip;q=0"], false);
    }
}
