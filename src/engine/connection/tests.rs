use super::*;
use crate::engine::body::{Body, Content};
use crate::http::{BodyDecoder, Framing};
use crate::sockjs::Transport;

/// A session's key, which the machine only keeps.
fn session() -> Key<Session> {
    Key::from_parts(7, 1).expect("a generation that is not zero")
}

fn connection() -> Connection {
    Connection::new(None, 0)
}

fn polling(keep_alive: bool) -> Connection {
    let mut it = connection();
    it.take_partial(0);
    let poll = Poll {
        session: session(),
        transport: Transport::XhrPolling,
        head: [].into(),
        callback: None,
        keep_alive,
    };
    it.begin_poll(poll);
    it
}

fn streaming(keep_alive: bool) -> Connection {
    let mut it = connection();
    it.take_partial(0);
    let stream =
        Stream { session: session(), transport: Transport::XhrStreaming, chunked: true, keep_alive, left: 4 };
    it.begin_stream(stream, 0);
    it
}

fn websocket() -> Connection {
    let mut it = connection();
    it.take_partial(0);
    it.begin_websocket(session(), 0);
    it
}

fn delivering(keep_alive: bool) -> Connection {
    let mut it = connection();
    it.take_partial(0);
    it.begin_delivery(session(), b"answer", keep_alive);
    it
}

fn last(keep_alive: bool) -> Connection {
    let mut it = streaming(keep_alive);
    assert!(it.end_response(&mut Pool::default()));
    it
}

fn deferred() -> Connection {
    let mut it = connection();
    it.take_partial(0);
    it.defer(7, Form { is_head: false, is_http11: true, keep_alive: true }, 0);
    it
}

fn downloading(length: Option<u64>, is_http11: bool) -> Connection {
    let mut it = connection();
    it.take_partial(0);
    let body = match length {
        Some(length) => Body::sized_reader(std::io::empty(), length),
        None => Body::reader(std::io::empty()),
    };
    let Content::Read(reader) = body.0 else { unreachable!("a reader") };
    it.begin_download(Download::new(reader, is_http11, true), 0);
    it
}

fn closing() -> Connection {
    let mut it = connection();
    it.answered(false, 0);
    it
}

fn shut() -> Connection {
    let mut it = closing();
    assert_eq!(it.note_last_byte_left(), Following::Shut);
    it
}

fn gone() -> Connection {
    let mut it = connection();
    assert!(it.fail(false));
    it
}

fn in_head() -> Connection {
    let mut it = connection();
    it.await_head(HeadScanner::default());
    it
}

fn in_body() -> Connection {
    let mut it = connection();
    let decoder = BodyDecoder::new(Framing::Length(3), 10).expect("a body within its limit");
    it.await_body(Box::new(PartialBody { head_length: 0, decoder, decoded: 0 }));
    it
}

fn proxied() -> Connection {
    let mut it = connection();
    it.expect_proxy_header();
    it
}

fn discarding() -> Connection {
    let mut it = websocket();
    it.await_close_frame(0);
    it
}

fn between() -> Connection {
    let mut it = connection();
    it.answered(true, 0);
    it
}

/// Every state, with what the next bytes are, what follows the last byte of the outbox, and whether the end of the
/// stream waits for something: first where nothing is in the inbox, then behind input that is backed up.
#[test]
fn each_state_says_what_comes_next() {
    let response = |keep_alive| Following::Response { session: Some(session()), keep_alive };
    let receiver = Following::Receiver(session());
    type Row = (&'static str, fn() -> Connection, Unit, Following, [bool; 2]);
    let table: [Row; 17] = [
        ("proxied", proxied, Unit::ProxyHeader, Following::Nothing, [false, false]),
        ("first", connection, Unit::Request, Following::Nothing, [false, true]),
        ("head", in_head, Unit::Request, Following::Nothing, [false, true]),
        ("body", in_body, Unit::Request, Following::Nothing, [false, true]),
        ("between", between, Unit::Request, Following::AwaitClient, [false, true]),
        ("delivering", || delivering(true), Unit::Later, Following::Nothing, [true, true]),
        ("poll", || polling(true), Unit::Later, receiver, [false, false]),
        ("stream", || streaming(true), Unit::Later, receiver, [false, false]),
        ("deferred", deferred, Unit::Later, Following::Nothing, [false, false]),
        ("download", || downloading(None, true), Unit::Later, Following::NextPiece, [true, true]),
        ("last", || last(true), Unit::Later, response(true), [true, true]),
        ("last of all", || last(false), Unit::Later, response(false), [true, true]),
        ("websocket", websocket, Unit::Frame, receiver, [false, true]),
        ("discarding", discarding, Unit::Discarded, Following::AwaitClient, [false, false]),
        ("closing", closing, Unit::Ignored, Following::Shut, [false, false]),
        ("shut", shut, Unit::Ignored, Following::Nothing, [false, false]),
        ("gone", gone, Unit::Ignored, Following::Nothing, [false, false]),
    ];
    for (name, make, unit, following, waits) in table {
        let mut it = make();
        assert_eq!(it.next_unit(), unit, "{name}");
        assert_eq!(it.end_must_wait(false), waits[0], "{name}");
        it.inbox.push(0);
        assert_eq!(it.end_must_wait(true), waits[1], "{name}, backed up");
        assert_eq!(it.note_last_byte_left(), following, "{name}");
    }
}

#[test]
fn an_answer_is_followed_by_the_next_request_or_the_end() {
    for make in [connection, in_head, in_body, || last(true), || delivering(true)] {
        let mut it = make();
        it.answered(true, 5);
        assert!(matches!((it.reading(), it.writing()), (Reading::Next, Writing::Idle)));
        assert_eq!((it.since, it.next_unit()), (5, Unit::Request));
        let mut it = make();
        it.answered(false, 5);
        assert!(matches!((it.reading(), it.writing()), (Reading::Ignored, Writing::Closing)));
    }
}

#[test]
fn a_connection_whose_client_has_ended_its_stream_is_dropped_behind_the_last_byte() {
    let mut it = closing();
    it.inflow = Inflow::Ended;
    assert_eq!(it.note_last_byte_left(), Following::Drop);
}

#[test]
fn a_polling_response_ends_with_its_first_frame_and_a_stream_at_its_limit() {
    let mut pool = Pool::default();
    let mut it = polling(true);
    assert!(it.write_frame(Frame::Whole(b"h"), &mut pool));
    assert!(matches!(it.writing(), Writing::Last { keep_alive: true, .. }));
    assert!(!it.write_frame(Frame::Whole(b"h"), &mut pool), "it has ended");

    let mut it = streaming(true);
    assert!(!it.write_frame(Frame::Whole(b"h"), &mut pool));
    assert!(it.write_frame(Frame::Whole(b"h"), &mut pool), "two bytes each");
    assert!(it.outbox.as_slice().is_some_and(|bytes| bytes.ends_with(b"0\r\n\r\n")));

    let mut it = websocket();
    for _ in 0..10 {
        assert!(!it.write_frame(Frame::Whole(b"h"), &mut pool));
    }
    let sent = it.outbox.len();
    it.close();
    assert!(!it.write_frame(Frame::Whole(b"h"), &mut pool));
    assert_eq!(it.outbox.len(), sent, "a connection that closes carries no frame");
}

#[test]
fn a_response_that_is_disowned_ends_as_any_other() {
    let mut it = last(true);
    it.disown();
    assert_eq!(it.session(), None);
    assert_eq!(it.note_last_byte_left(), Following::Response { session: None, keep_alive: true });
}

#[test]
fn a_request_waits_for_one_answer() {
    let mut it = deferred();
    let form = Form { is_head: false, is_http11: true, keep_alive: true };
    assert_eq!(it.deferred(), Some((7, form)));
    assert_eq!(it.end_deferral(), Some((7, form)));
    assert_eq!((it.deferred(), it.end_deferral()), (None, None));
    assert_eq!(it.next_unit(), Unit::Request);
    for make in [connection, || polling(true), || downloading(None, true), closing, gone] {
        let mut it = make();
        let before = it.progress();
        assert_eq!(it.end_deferral(), None);
        assert_eq!(it.progress(), before, "nothing has changed");
    }
}

#[test]
fn pieces_of_a_body_are_framed_as_its_end_wants_it() {
    let mut pool = Pool::default();
    for (length, is_http11, wire) in [
        (Some(6), true, "piece!"),
        (Some(6), false, "piece!"),
        (None, true, "5\r\npiece\r\n1\r\n!\r\n0\r\n\r\n"),
        (None, false, "piece!"),
    ] {
        let mut it = downloading(length, is_http11);
        assert!(it.footprint().output > 0);
        it.write_piece(b"piece", &mut pool);
        it.write_piece(b"", &mut pool);
        it.write_piece(b"!", &mut pool);
        assert!(it.end_download(&mut pool).is_some_and(Reader::close));
        assert_eq!(it.outbox.as_slice(), Some(wire.as_bytes()));
        assert_eq!(it.note_last_byte_left(), Following::Response { session: None, keep_alive: true });
        it.write_piece(b"more", &mut pool);
        assert!(it.end_download(&mut pool).is_none() && it.take_reader().is_none());
        assert_eq!(it.outbox.len(), wire.len(), "it has ended");
    }
}

#[test]
fn a_download_that_is_cut_off_hands_its_reader_back() {
    let mut it = downloading(Some(6), true);
    assert!(it.take_reader().is_some());
    assert!(it.take_reader().is_none());
    assert!(it.fail(false));
    assert_eq!(it.footprint(), Footprint::default());
}

#[test]
fn an_answer_is_owed_behind_the_last_message() {
    let mut pool = Pool::default();
    let mut it = delivering(true);
    assert_eq!(it.delivering(), Some(session()));
    assert_eq!(it.end_delivery(&mut pool), Delivered::Answered { keep_alive: true });
    assert_eq!(it.outbox.as_slice(), Some(&b"answer"[..]));

    let mut it = delivering(true);
    assert!(!it.fail(true), "its messages are told to the end");
    assert_eq!(it.next_unit(), Unit::Later);
    assert_eq!(it.end_delivery(&mut pool), Delivered::Abandoned);
    assert!(it.fail(true), "and then it ends");
    assert!(!it.fail(true), "once");

    let mut it = delivering(true);
    assert!(it.fail(false), "their session is closed");

    assert_eq!(websocket().end_delivery(&mut pool), Delivered::Frame);
}

#[test]
fn a_failed_connection_holds_nothing_of_a_session() {
    for make in [|| polling(true), || streaming(true), websocket, || last(true)] {
        let mut it = make();
        assert_eq!(it.session(), Some(session()));
        it.outbox.give_back(&mut Pool::default());
        assert!(it.fail(false));
        assert_eq!(it.session(), None);
        assert_eq!(it.footprint(), Footprint::default());
    }
}

#[test]
fn the_first_request_has_its_time_from_the_accept_on() {
    let mut it = connection();
    assert!(matches!(it.take_partial(9), Some(Partial::Head(_))));
    assert_eq!(it.since, 0);
    it.answered(true, 10);
    assert!(matches!(it.take_partial(19), Some(Partial::Head(_))));
    assert_eq!(it.since, 19);
    // The rest of a head, or of a body, has the time of its beginning.
    it.await_head(HeadScanner::default());
    assert!(matches!(it.take_partial(29), Some(Partial::Head(_))));
    let mut it = in_body();
    assert!(matches!(it.take_partial(29), Some(Partial::Body(_))));
    assert_eq!(it.since, 0);
    for make in [proxied, websocket, discarding, closing, || delivering(true)] {
        let mut it = make();
        let before = it.progress();
        assert!(it.take_partial(29).is_none());
        assert_eq!(it.progress(), before, "nothing has changed");
    }
}

#[test]
fn a_client_that_asks_has_read_what_it_was_answered() {
    for (make, all_read) in
        [(connection as fn() -> Connection, true), (between, true), (in_head, false), (websocket, false)]
    {
        let mut it = make();
        it.pace.note_written(1000, 0, 1);
        it.note_arrival();
        assert_eq!(it.pace.read_by(0) == 0, all_read);
    }
}

#[test]
fn a_ping_is_sent_with_the_last_byte_before_it() {
    let mut pool = Pool::default();
    let ping = |it: &Connection| it.websocket().expect("a WebSocket").ping;
    let mut it = websocket();
    assert!(!it.ping_left(false));
    it.queue_ping(&mut pool);
    assert_eq!((ping(&it), it.outbox.len()), (Ping::Queued, 2));
    assert!(it.ping_left(false));
    assert_eq!(ping(&it), Ping::Sent);
    assert!(!it.ping_left(false));
    assert!(it.ping_left(true), "the pong may have waited for what was stalled");
    it.note_pong(0);
    assert_eq!(ping(&it), Ping::Rest);
}

#[test]
fn a_client_that_speaks_is_there_though_its_pong_is_yet_to_come() {
    let mut pool = Pool::default();
    let mut it = websocket();
    it.queue_ping(&mut pool);
    it.note_heard(100);
    assert_eq!(it.websocket().map(|socket| socket.ping), Some(Ping::Queued), "it leaves all the same");
    it.ping_left(false);
    // A slow client has read the ping after 20 s.
    it.pace.note_written(20_000, 100, 1000);
    it.since = it.pace.read_by(100);
    it.note_heard(200);
    assert!(matches!(it.websocket().map(|socket| socket.ping), Some(Ping::Outstanding(_))));
    assert_eq!(it.since, 200);
    // The pong is here after 5 s: the client is 15 s earlier than a slow one, within a quarter of a second.
    it.note_pong(5100);
    assert!(it.pace.read_by(5100) - 5100 <= 256, "{}", it.pace.read_by(5100));
}

/// Rule 7.14: while a pong is outstanding no second ping goes out, whose pong could not be told from the first one's.
#[test]
fn a_silent_client_is_awaited_for_the_pong_that_it_owes() {
    let mut it = websocket();
    assert!(!it.await_outstanding_pong(0));
    it.queue_ping(&mut Pool::default());
    it.ping_left(false);
    // A slow client has read the ping after 20 s; it speaks after one, and is silent again.
    it.pace.note_written(20_000, 0, 1000);
    it.since = it.pace.read_by(0);
    it.note_heard(1000);
    assert!(it.await_outstanding_pong(4000));
    assert!((19_500..=20_500).contains(&it.since), "{}", it.since);
    assert!(!it.await_outstanding_pong(4000));
    // It is as slow as that: its pong shows that it has read no earlier.
    it.pace.note_written(20_000, 4000, 1000);
    it.note_pong(20_000);
    assert!((39_500..=40_500).contains(&it.pace.read_by(20_000)), "{}", it.pace.read_by(20_000));
    // One that is silent later than the pong was due has the time for a pong from then on.
    it.queue_ping(&mut Pool::default());
    it.ping_left(false);
    it.since = 20_000;
    it.note_heard(21_000);
    assert!(it.await_outstanding_pong(30_000));
    assert_eq!(it.since, 30_000);
}

/// Rule 7.14: a client that speaks for hours, and never answers the ping, is missed as soon as any other.
#[test]
fn a_pong_that_was_due_hours_ago_is_not_waited_for() {
    const HOUR: Millis = 60 * 60 * 1000;
    for hours in 0..20 {
        let mut it = websocket();
        it.queue_ping(&mut Pool::default());
        it.ping_left(false);
        it.note_heard(1000);
        let now = 1000 + hours * HOUR;
        // The time of the ping is kept in 16 bits: half of all times look as if they were ahead.
        assert!(it.await_outstanding_pong(now));
        assert_eq!(it.since, now, "{hours}");
    }
}

/// Rule 12.11: a pong that comes hours late, from a client that speaks all the time, says nothing of what was written
/// since.
#[test]
fn a_pong_that_comes_hours_late_does_not_show_that_all_was_read() {
    const MINUTE: Millis = 60 * 1000;
    for minutes in [0, 1, 150, 200, 300, 600] {
        let mut it = websocket();
        it.queue_ping(&mut Pool::default());
        it.ping_left(false);
        for minute in 0..=minutes {
            it.note_heard(minute * MINUTE);
        }
        let now = minutes * MINUTE;
        it.pace.note_written(20_000, now, 1000);
        it.note_pong(now);
        assert_eq!(it.pace.read_by(now), now + 20_000, "{minutes}");
    }
}

#[test]
fn a_load_balancer_names_the_client() {
    let balancer = "10.0.0.1:1000".parse().ok();
    let mut it = Connection::new(balancer, 0);
    it.expect_proxy_header();
    it.note_proxy_header(None);
    assert_eq!((it.peer(), it.next_unit()), (balancer, Unit::Request));
    it.expect_proxy_header();
    it.note_proxy_header("[::ffff:192.0.2.1]:5".parse().ok());
    assert_eq!(it.peer(), "192.0.2.1:5".parse().ok());
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 176, "{}", size_of::<Connection>());
}
