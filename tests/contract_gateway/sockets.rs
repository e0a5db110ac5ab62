//! Sockets that break the protocol, or only a promise, at every point of an exchange.

use std::fs;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use super::world::*;

#[tokio::test]
async fn a_refused_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gateway = client(&url);
    assert_not_sent(&gateway.charge(&charge("a")).await);
    assert_not_sent(&gateway.lookup(&charge("a").id).await);
    assert!(gateway.probe().await.is_err());
    assert_not_sent(&client("http://no-such-host.invalid").charge(&charge("a")).await);
}

#[tokio::test]
async fn what_breaks_off_after_the_request_left_is_lost() {
    let whole = approval("a");
    let cuts =
        [0, 1, 12, 17, whole.find("\r\n\r\n").unwrap() + 2, whole.len() - 40, whole.len() - 1];
    for cut in cuts {
        let server = Server::says(&whole.as_bytes()[..cut]).await;
        let answer = client(&server.url).charge(&charge("a")).await;
        assert_lost(&answer);
        assert_eq!(server.connections(), 1, "no second try after {cut} bytes");
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n";
    assert_lost(&client(&Server::says(chunked).await.url).charge(&charge("a")).await);
    for nonsense in
        ["SSH-2.0-x\r\n", "HTTP/2 200\r\n\r\n", "\0\0\0\0", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n"]
    {
        let answer = client(&Server::says(nonsense).await.url).charge(&charge("a")).await;
        assert_lost(&answer);
    }
}

#[tokio::test]
async fn a_connection_closed_before_it_was_read_is_not_resent() {
    let server = Server::start(|_, socket| async move { drop(socket) }).await;
    let answer = client(&server.url).charge(&charge("a")).await;
    assert!(!matches!(answer, Answer::Response(_)), "{answer:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_deadline_holds_whatever_trickles_in() {
    let server = Server::start(|_, mut socket| async move {
        read_request(&mut socket).await;
        let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n{:50000}", ' ');
        for byte in endless.bytes() {
            sleep(Duration::from_millis(30)).await;
            if socket.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let start = Instant::now();
    assert_lost(&hasty(&server.url).charge(&charge("a")).await);
    let took = start.elapsed();
    assert!(took >= HASTE && took < LIMIT, "{took:?}");
}

#[tokio::test]
async fn bodies_are_capped_and_heads_too() {
    let settled =
        |url: &str| HttpGateway::new(&Settings { body_max: 1000, ..settings(url) }).unwrap();
    let plain = |n| format!("HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n{}", "x".repeat(n));
    let chunked = |n: usize| {
        let half = "y".repeat(n / 2);
        let chunk = format!("{:x}\r\n{half}\r\n", half.len());
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")
    };
    for fits in [plain(0), plain(1000), chunked(1000)] {
        let server = Server::says(fits).await;
        response(settled(&server.url).charge(&charge("a")).await);
    }
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "z".repeat(100_000));
    for over in [plain(1001), chunked(1002), endless] {
        let server = Server::says(over).await;
        assert_lost(&settled(&server.url).charge(&charge("a")).await);
    }
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(100));
    for head in [long, many] {
        let server = Server::says(head).await;
        assert_lost(&settled(&server.url).charge(&charge("a")).await);
    }
}

#[tokio::test]
async fn redirects_are_answers_and_not_followed() {
    let target = Server::says(approval("a")).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/charges", target.url);
        let answer =
            format!("HTTP/1.1 {status} x\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::says(answer).await;
        let answer = response(client(&server.url).charge(&charge("a")).await);
        assert_eq!((answer.status, server.connections()), (status, 1));
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let server = Server::says(format!("HTTP/1.1 100 Continue\r\n\r\n{}", approval("a"))).await;
    approved(&client(&server.url), "a").await;
}

/// Answers every request on every connection; does `after` behind each answer.
async fn serving(after: fn(usize) -> After) -> Server {
    Server::start(move |_, mut socket| async move {
        for n in 1.. {
            let request = read_request(&mut socket).await;
            if request.is_empty() || after(n) == After::CloseUnanswered {
                return;
            }
            let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            let id = key.or_else(|| request.split(['/', ' ']).nth(3)).unwrap().to_owned();
            socket.write_all(approval(&id).as_bytes()).await.unwrap();
            match after(n) {
                After::Close => return,
                After::SpeakUnasked => socket.write_all(approval(&id).as_bytes()).await.unwrap(),
                After::GoOn | After::CloseUnanswered => {}
            }
        }
    })
    .await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    GoOn,
    Close,
    SpeakUnasked,
    CloseUnanswered,
}

#[tokio::test]
async fn connections_are_kept_and_bounded() {
    let server = serving(|_| After::GoOn).await;
    let gateway =
        HttpGateway::new(&Settings { max_in_flight: 4, ..settings(&server.url) }).unwrap();
    for n in 0..50 {
        approved(&gateway, &format!("s{n}")).await;
    }
    assert_eq!(server.connections(), 1);
    join_all((0..64).map(|n| {
        let gateway = &gateway;
        async move { approved(gateway, &format!("c{n}")).await }
    }))
    .await;
    assert!(server.connections() <= 4, "{}", server.connections());
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_not_used() {
    let server = serving(|_| After::Close).await;
    let gateway = client(&server.url);
    for n in 1..=5 {
        approved(&gateway, "a").await;
        sleep(Duration::from_millis(30)).await;
        assert_eq!(server.connections(), n);
    }
}

#[tokio::test]
async fn a_connection_that_closes_under_a_request_loses_it_and_nothing_is_sent_again() {
    let server = serving(|n| if n == 2 { After::CloseUnanswered } else { After::GoOn }).await;
    let gateway = client(&server.url);
    approved(&gateway, "a").await;
    assert_lost(&gateway.charge(&charge("b")).await);
    assert_eq!(server.connections(), 1, "the request was sent once");
    approved(&gateway, "b").await;
    assert_eq!(server.connections(), 2);
}

/// Whether the kernel has told this end of a connection that the other one is gone (state 8, CLOSE_WAIT). Under load
/// that may be long after the other end has closed.
fn knows_the_end(end: SocketAddr) -> bool {
    let port = format!(":{:04X}", end.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&port)).any(|row| row[3] == "08")
}

/// It is put aside whole, and ends before it is taken again: so shortly before that nobody looks at it then.
#[tokio::test]
async fn a_connection_that_ended_a_moment_ago_is_noticed_before_a_byte_is_sent() {
    for speaks in [false, true] {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::clone(&ended);
        let server = Server::start(move |_, mut socket| {
            let ends = Arc::clone(&ends);
            async move {
                let request = read_request(&mut socket).await;
                let id = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
                let Some(id) = id else { return };
                let client = socket.peer_addr().unwrap();
                socket.write_all(approval(id).as_bytes()).await.unwrap();
                sleep(Duration::from_millis(10)).await;
                if speaks {
                    socket.write_all(approval(id).as_bytes()).await.unwrap();
                }
                drop(socket);
                ends.lock().unwrap().push(client);
            }
        })
        .await;
        let gateway = client(&server.url);
        let mut answered = 0;
        for n in 0..20 {
            let id = format!("t{n}");
            let answer = gateway.charge(&charge(&id)).await;
            if !matches!(answer, Answer::NotSent(_)) {
                let verdict = verdict(LATER, &id, &answer);
                assert!(matches!(verdict, Verdict::Approved { .. }), "{answer:?}");
                let nth = answered;
                let is_over = || ended.lock().unwrap().get(nth).copied().is_some_and(knows_the_end);
                until("the end of it", is_over).await;
                answered += 1;
            }
            // So that the runtime learns of it, too.
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(server.connections(), answered, "each was used once");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_never_taken_for_the_next_one() {
    let server = serving(|_| After::SpeakUnasked).await;
    let gateway = client(&server.url);
    for n in 1..=5 {
        approved(&gateway, &format!("t{n}")).await;
        sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn connections_that_idle_too_long_are_not_used() {
    for (idle, connections) in [(Duration::from_millis(60), 3), (LIMIT * 60, 1)] {
        let server = serving(|_| After::GoOn).await;
        let gateway = HttpGateway::new(&Settings { idle, ..settings(&server.url) }).unwrap();
        for _ in 0..3 {
            approved(&gateway, "a").await;
            sleep(Duration::from_millis(120)).await;
        }
        assert_eq!(server.connections(), connections, "{idle:?}");
    }
}

#[tokio::test]
async fn who_waits_for_a_free_connection_has_sent_nothing() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let server = Server::start(move |_, mut socket| {
        let count = Arc::clone(&count);
        async move {
            if !read_request(&mut socket).await.is_empty() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            pending::<()>().await;
        }
    })
    .await;
    let bounded = Settings { max_in_flight: 1, timeout: HASTE, ..settings(&server.url) };
    let gateway = HttpGateway::new(&bounded).unwrap();
    let (a, b) = (charge("a"), charge("b"));
    let (first, second) = tokio::join!(gateway.charge(&a), gateway.charge(&b));
    assert_lost(&first);
    assert!(!matches!(second, Answer::Response(_)));
    let not_sent = [first, second].iter().filter(|it| matches!(it, Answer::NotSent(_))).count();
    until("the first to be read", || seen.load(Ordering::SeqCst) > 0).await;
    sleep(Duration::from_millis(100)).await;
    // What got its turn at the last moment may be lost before it leaves; what is not sent never leaves.
    assert!(seen.load(Ordering::SeqCst) <= 2 - not_sent);
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let (told, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |_, mut socket| {
        let told = told.clone();
        async move {
            read_request(&mut socket).await;
            told.send("asked").unwrap();
            let end = socket.read(&mut [0]).await;
            told.send(if matches!(end, Ok(0) | Err(_)) { "closed" } else { "more" }).unwrap();
        }
    })
    .await;
    let gateway = client(&server.url);
    let a = charge("a");
    tokio::select! {
        biased;
        answer = gateway.charge(&a) => panic!("{answer:?}"),
        asked = closed.recv() => assert_eq!(asked, Some("asked")),
    }
    assert_eq!(closed.recv().await, Some("closed"));
}

#[tokio::test]
async fn the_request_is_what_the_profile_says_byte_for_byte() {
    let (told, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |_, mut socket| {
        let told = told.clone();
        async move {
            loop {
                let request = read_request(&mut socket).await;
                if request.is_empty() {
                    return;
                }
                told.send(request).unwrap();
                socket.write_all(approval("x").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let headers = vec![("Authorization".to_owned(), "Bearer hush".to_owned())];
    let gateway =
        HttpGateway::new(&Settings { headers, ..settings(&format!("{}/v1/", server.url)) })
            .unwrap();
    gateway.charge(&charge("t:1")).await;
    gateway.charge(&charge("t:1")).await;
    gateway.lookup(&charge("t:1").id).await;
    let first = requests.recv().await.unwrap();
    assert_eq!(first, requests.recv().await.unwrap(), "every attempt is the same bytes");
    let (head, body) = first.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.as_bytes(), charge("t:1").body);
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/charges HTTP/1.1");
    lines.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        "accept: application/json".to_owned(),
        "authorization: Bearer hush".to_owned(),
        format!("content-length: {}", body.len()),
        "content-type: application/json".to_owned(),
        format!("host: {}", server.address),
        "idempotency-key: t:1".to_owned(),
        format!("user-agent: tollbridge/{version}"),
    ];
    assert_eq!(lines, expected);
    let lookup = requests.recv().await.unwrap();
    assert!(lookup.starts_with("GET /v1/charges/t%3A1 HTTP/1.1\r\n"), "{lookup}");
    assert!(!lookup.contains("content-") && !lookup.contains("idempotency"), "{lookup}");
}
