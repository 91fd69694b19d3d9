//! The rows of the table. Pure: outcomes in, lines out.

use std::time::Duration;

use super::transports::Outcome;

pub(super) const HEAD: &str = "transport      opened  echo  latency  close  why not\n";

/// What stands where there is no value.
const NOTHING: &str = "-";

/// The longest reason in a row.
const LONGEST: usize = 300;

/// A row of what was tried.
pub(super) fn row(name: &str, outcome: &Outcome) -> String {
    let why = outcome.problem.as_ref().map(ToString::to_string).unwrap_or_default();
    let echo = match outcome {
        Outcome { latency: Some(_), .. } => "yes",
        Outcome { is_open: true, .. } => "no",
        _ => NOTHING,
    };
    columns([name, if outcome.is_open { "yes" } else { "no" }, echo], outcome, &why)
}

/// The row of what the server does not offer.
pub(super) fn off(name: &str) -> String {
    columns([name, "off", NOTHING], &Outcome::default(), "404: the server does not offer it")
}

/// The row of `/info`.
pub(super) fn info(outcome: &Outcome, has_websocket: bool) -> String {
    let note = if has_websocket { "" } else { "it says that there are no WebSockets" };
    columns(["info", "yes", NOTHING], outcome, note)
}

fn columns([name, opened, echo]: [&str; 3], outcome: &Outcome, why: &str) -> String {
    let latency = outcome.latency.map_or(NOTHING.to_owned(), milliseconds);
    let close = outcome.close.map_or(NOTHING.to_owned(), |code| code.to_string());
    let row = format!("{name:<13}  {opened:<6}  {echo:<4}  {latency:<7}  {close:<5}  {}", printable(why));
    format!("{}\n", row.trim_end())
}

fn milliseconds(time: Duration) -> String {
    let hundredths = (time.as_micros() + 5) / 10;
    match hundredths {
        0..1000 => format!("{}.{:02} ms", hundredths / 100, hundredths % 100),
        _ => format!("{} ms", (time.as_micros() + 500) / 1000),
    }
}

/// A server chose these letters, and may have chosen those that move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().take(LONGEST).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::problem::Problem;

    #[test]
    fn rows_stand_in_columns() {
        let latency = Some(Duration::from_micros(1249));
        let works = Outcome { is_open: true, latency, close: Some(1000), problem: None };
        assert_eq!(row("websocket", &works), "websocket      yes     yes   1.25 ms  1000\n");
        let problem = Some(Problem::Closed { code: 3000, reason: "a\n\u{1b}[2J".to_owned() });
        let closed = Outcome { is_open: true, latency: None, close: Some(3000), problem };
        let why = "the server closed with 3000 a\u{fffd}\u{fffd}[2J";
        assert_eq!(
            row("xhr-streaming", &closed),
            format!("xhr-streaming  yes     no    -        3000   {why}\n")
        );
        assert_eq!(
            off("htmlfile"),
            "htmlfile       off     -     -        -      404: the server does not offer it\n"
        );
        let open = Outcome { is_open: true, latency, ..Outcome::default() };
        assert_eq!(info(&open, true), "info           yes     -     1.25 ms  -\n");
        assert!(HEAD.starts_with("transport      opened  echo  latency  close  why"));
    }

    #[test]
    fn times_are_rounded_and_fit_their_column() {
        let times = [
            (0, "0.00 ms"),
            (5, "0.01 ms"),
            (9_994, "9.99 ms"),
            (9_995, "10 ms"),
            (10_495, "10 ms"),
            (999_500, "1000 ms"),
        ];
        for (micros, text) in times {
            assert_eq!(milliseconds(Duration::from_micros(micros)), text);
        }
    }
}
