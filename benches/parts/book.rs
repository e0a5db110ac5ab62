//! What the stub answers and remembers: each id with how often it was charged. Bytes in, bytes out; no socket, and no
//! faults: a gateway that misbehaves is `tollbridge gateway-sim`.

use std::collections::HashMap;
use std::io::Write;

/// A request that has come as a whole.
#[derive(Debug)]
pub struct Request<'a> {
    pub is_post: bool,
    pub path: &'a [u8],
    pub key: &'a [u8],
    pub body: &'a [u8],
}

/// What came on a connection so far.
#[derive(Debug)]
pub enum Read<'a> {
    Whole(Request<'a>),
    More,
    Nonsense,
}

/// Reads one request. Nothing may follow it: the client waits for its answer.
pub fn read(bytes: &[u8]) -> Read<'_> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Read::More };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut words = lines.next().unwrap_or_default().split(|byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    let mut key: &[u8] = b"";
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = number(value);
        } else if name.eq_ignore_ascii_case(b"idempotency-key") {
            key = value;
        }
    }
    let body = &bytes[end + 4..];
    match body.len().cmp(&length) {
        std::cmp::Ordering::Less => Read::More,
        std::cmp::Ordering::Equal => {
            Read::Whole(Request { is_post: method == b"POST", path, key, body })
        }
        std::cmp::Ordering::Greater => Read::Nonsense,
    }
}

#[derive(Debug)]
struct Charge {
    times: u32,
    number: usize,
    amount: u64,
    currency: [u8; 3],
    /// When it was first asked for; microseconds since 1970.
    first_us: u64,
}

impl Charge {
    fn tell(&self, id: &[u8], replayed: bool, out: &mut Vec<u8>) {
        let Self { number, amount, currency: [a, b, c], .. } = self;
        let mut body = [0_u8; 512];
        let room = body.len();
        let mut rest = &mut body[..];
        let written = write!(rest, "{{\"id\":\"ch_{number}\",\"transaction_id\":\"")
            .and_then(|()| rest.write_all(id))
            .and_then(|()| {
                write!(rest, "\",\"status\":\"approved\",\"amount\":{amount},\"currency\":\"")
            })
            .and_then(|()| rest.write_all(&[*a, *b, *c]))
            .and_then(|()| rest.write_all(b"\"}"));
        let left = rest.len();
        match written {
            Ok(()) => answer(out, "200 OK", replayed, &body[..room - left]),
            Err(_) => answer(out, "400 Bad Request", false, b"{}"),
        }
    }
}

/// All charges so far.
#[derive(Debug, Default)]
pub struct Book {
    charges: HashMap<Box<[u8]>, Charge>,
    pub requests: u64,
}

impl Book {
    /// Charges the id, or notes that it was asked for again. Appends the whole response.
    pub fn charge(&mut self, request: &Request<'_>, now_us: u64, out: &mut Vec<u8>) {
        self.requests += 1;
        let fields = (
            after(request.body, b"\"transaction_id\":\"", |byte| byte != b'"'),
            after(request.body, b"\"amount\":", |byte| byte.is_ascii_digit()),
            after(request.body, b"\"currency\":\"", |byte| byte != b'"')
                .filter(|code| code.len() == 3),
        );
        let (Some(id), Some(amount), Some(currency)) = fields else {
            return answer(
                out,
                "400 Bad Request",
                false,
                b"{\"error\":{\"code\":\"invalid_request\"}}",
            );
        };
        if id != request.key {
            return answer(
                out,
                "422 Unprocessable",
                false,
                b"{\"error\":{\"code\":\"key_reused\"}}",
            );
        }
        let (amount, currency) = (number(amount) as u64, [currency[0], currency[1], currency[2]]);
        let next = self.charges.len();
        let charge = match self.charges.get_mut(id) {
            Some(charge) => charge,
            None => {
                let charge = Charge { times: 0, number: next, amount, currency, first_us: now_us };
                self.charges.entry(id.into()).or_insert(charge)
            }
        };
        charge.times += 1;
        charge.tell(id, charge.times > 1, out);
    }

    /// Tells what became of an id, without charging it. Appends the whole response.
    pub fn look_up(&self, id: &[u8], out: &mut Vec<u8>) {
        match self.charges.get(id) {
            Some(charge) => charge.tell(id, false, out),
            None => answer(out, "404 Not Found", false, b"{\"error\":{\"code\":\"not_found\"}}"),
        }
    }

    /// One line an id: the id and how often it was charged.
    pub fn listing(&self) -> Vec<u8> {
        self.lines(|charge| charge.times.into())
    }

    /// One line an id: the id and when it was first asked for.
    pub fn arrivals(&self) -> Vec<u8> {
        self.lines(|charge| charge.first_us)
    }

    fn lines(&self, number: impl Fn(&Charge) -> u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.charges.len() * 32);
        for (id, charge) in &self.charges {
            out.extend_from_slice(id);
            out.extend_from_slice(format!(" {}\n", number(charge)).as_bytes());
        }
        out
    }
}

/// Appends a response.
pub fn answer(out: &mut Vec<u8>, status: &str, replayed: bool, body: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\r\ncontent-type: application/json\r\n");
    if replayed {
        out.extend_from_slice(b"idempotent-replayed: true\r\n");
    }
    out.extend_from_slice(b"content-length: ");
    // Into memory: it can't fail.
    write!(out, "{}", body.len()).ok();
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn after<'a>(bytes: &'a [u8], what: &[u8], goes_on: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
    let start = find(bytes, what)? + what.len();
    let rest = &bytes[start..];
    let end = rest.iter().position(|byte| !goes_on(*byte))?;
    (end > 0).then_some(&rest[..end])
}

fn number(text: &[u8]) -> usize {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX)
}
