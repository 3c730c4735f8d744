#!/usr/bin/perl
# http.pl PORT [--full] <CONVERSATIONS: HTTP/1.1 byte by byte, for what curl would never send or would put right.
#
# A line of standard input is a connection: requests with a TAB between them, which are sent in one go, or each when the
# one before was answered where "then" stands before it.  In a request \r \n \t \0 \\ and \xHH are those bytes and \{N}
# is N letters.  For each connection a line is printed: the answers, with ", " between them, each in a few words:
#
#   200 /api/private bob    a program answered: the route and who asked, as it was told
#   401 no_token            an error in JSON, by its code; no_token where the challenge has none
#   200 secret              a short plain text
#   404 page                anything else that is no plain text: a page of the server itself
#   closed, silent, broken  no answer: the connection ended, nothing came for 40 s, or what came is not HTTP
#
# An answer behind which more bytes come than it should have ends with "+N".  With --full an answer is an object of JSON
# instead, with status, headers and body.
#
# http.pl PORT --streams <ROWS: HTTP/2 without TLS; all rows at once, each a stream of one connection.  A row has a path and
# what stands in Authorization, more than once if need be, with TABs between them.  For each a line is printed: what its body
# says in a few words, or reset, or silent.
#
# http.pl PORT --load SECONDS CLIENTS LEAST <ROWS: a row has a weight, the answers that are right with "|" between them, and a
# request, with TABs between them.  So many clients send requests, each the next one when its last was answered, for so long
# and until there are at least so many answers; prints how often each answer came, and what was wrong.  Ends with 1 when an answer was wrong.  Only what perl-base brings.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket;

$SIG{PIPE} = 'IGNORE';
$| = 1;
my $limit = 40;		# seconds without a byte
my $port = shift // die "usage: http.pl PORT ...\n";
my $mode = shift // '';

sub raw {	# escapes to bytes
	my $s = shift;
	$s =~ s/\\\{(\d+)\}/'x' x $1/ge;
	$s =~ s/\\(x[0-9a-fA-F]{2}|.)/
	    length $1 > 1 ? chr hex substr $1, 1 : { r => "\r", n => "\n", t => "\t", 0 => "\0" }->{$1} \/\/ $1/gex;
	return $s;
}

# One answer at the beginning of $$bytes, taken away from there: undef where it is not whole yet.  $eof: nothing comes any more.
sub answer {
	my ($bytes, $method, $eof) = @_;
	my $text = $$bytes;
	while ($text =~ s/\AHTTP\/1\.1 1\d\d[^\n]*\r\n(?:[^\r\n]+\r\n)*\r\n//) {}	# 100 Continue
	return if $text eq '' || $text !~ /\r\n\r\n/ && !$eof;
	$text =~ s/\AHTTP\/1\.[01] (\d\d\d)[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n// or return { broken => 1 };
	my ($status, $head) = ($1, $2);
	my %headers;
	for (split /\r\n/, $head) {
		my ($name, $value) = /^([^:\s]+):\s*(.*?)\s*$/ or return { broken => 1 };
		push @{ $headers{lc $name} }, $value;
	}
	my ($body, $close) = ('', lc($headers{connection}[0] // '') eq 'close');
	if ($method eq 'HEAD' || $status == 204 || $status == 304) {
	} elsif (lc($headers{'transfer-encoding'}[0] // '') eq 'chunked') {
		while (1) {
			$text =~ s/\A([0-9a-fA-F]+)[^\r\n]*\r\n// or return $eof ? { broken => 1 } : undef;
			my $n = hex $1;
			return $eof ? { broken => 1 } : undef if length $text < $n + 2;
			$body .= substr $text, 0, $n, '';
			$text =~ s/\A\r\n// or return { broken => 1 };
			last if $n == 0;
		}
	} elsif (defined $headers{'content-length'}) {
		my $n = $headers{'content-length'}[0];
		return { broken => 1 } if @{ $headers{'content-length'} } > 1;
		return $eof ? { broken => 1 } : undef if length $text < $n;
		$body = substr $text, 0, $n, '';
	} else {
		return unless $eof;
		($body, $text) = ($text, '');
	}
	$$bytes = $text;
	return { status => $status, headers => \%headers, body => $body, close => $close };
}

sub words {	# an answer in a few words
	my $a = shift;
	return 'broken' if $a->{broken};
	my $body = $a->{body};
	my $said = 'page';
	if ($body =~ /"error":\s*"([^"]*)"/) {
		$said = $1;
		$said = 'no_token' if $a->{status} eq 401 && "@{ $a->{headers}{'www-authenticate'} // [''] }" !~ /error=/;
	} elsif ($body =~ /"route":\s*"([^"]*)"/) {
		$said = $1;
		$said .= " $1" if $body =~ /"CLAIM_SUB":\s*"([^"]+)"/;
	} elsif ($body eq '') {
		$said = '';
	} elsif ($body =~ /\A[\w .-]{1,60}\z/) {
		$said = $body;
	}
	return $said eq '' ? $a->{status} : "$a->{status} $said";
}

sub text {	# as a JSON string
	my $s = shift;
	$s =~ s/(["\\])/\\$1/g;
	$s =~ s/([^ -~])/sprintf '\\u%04x', ord $1/ge;
	return "\"$s\"";
}

sub full {
	my $a = shift;
	return '{"status": "broken"}' if $a->{broken};
	return "{\"status\": $a->{status}, \"body\": " . text($a->{body}) . ', "headers": {' . join(', ', map {
		text($_) . ': [' . join(', ', map { text($_) } @{ $a->{headers}{$_} }) . ']' } sort keys %{ $a->{headers} }) . '}}';
}

sub reach {
	return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => $limit);
}

sub more {	# more(SOCKET, BYTES): reads; true at the end, undef when nothing came
	my ($s, $bytes) = @_;
	return unless IO::Select->new($s)->can_read($limit);
	return !sysread $s, $$bytes, 1 << 20, length $$bytes;
}

sub send_all {	# reading meanwhile, since an answer may come before a body is out
	my ($s, $out, $in) = @_;
	my $select = IO::Select->new($s);
	my $dead;
	$s->blocking(0);
	while (length $out) {
		my ($r, $w) = IO::Select->select($dead ? undef : $select, $select, undef, $limit) or last;
		if (@$r) {
			my $n = sysread $s, $$in, 65536, length $$in;
			$dead = 1 if defined $n && $n == 0;
		}
		next unless @$w;
		my $n = syswrite $s, $out, 1 << 20;
		last if !defined $n && !$!{EAGAIN};
		substr $out, 0, $n // 0, '';
	}
	$s->blocking(1);
}

sub converse {
	my @requests = @_;
	my ($bytes, @said, $eof) = ('');
	my $s = reach() or return 'closed';
	my @groups;
	for (@requests) {
		push @groups, [] if s/\Athen // || !@groups;
		push @{ $groups[-1] }, raw($_);
	}
	my $ended;
	for my $group (@groups) {
		send_all($s, join('', @$group), \$bytes) unless $ended;
		for my $request (@$group) {
			my ($method) = $request =~ /\A(\S+)/;
			my $answer;
			until ($answer = answer(\$bytes, $method, $eof)) {
				last if $eof;
				my $end = more($s, \$bytes);
				if (!defined $end) { push @said, 'silent'; $ended = 1; last; }
				$eof = 1 if $end;
			}
			last if $ended;
			push @said, $answer ? ($mode eq '--full' ? full($answer) : words($answer)) : 'closed';
			$ended = 1 if !$answer || $answer->{broken};
			last if $ended;
		}
		last if $ended;
	}
	# Behind the last answer there is to be nothing, if the connection ends.
	if (!$ended && $requests[-1] =~ /Connection: close/i) {
		until ($eof) {
			my $end = more($s, \$bytes);
			last unless defined $end;
			$eof = $end;
		}
		$said[-1] .= ' +' . length $bytes if length $bytes;
	}
	return $mode eq '--full' ? join("\n", @said) : join ', ', @said;
}

sub load {
	my ($seconds, $clients, $least) = @_;
	my $answers = 0;
	my (@rows, %count, %wrong, @first);
	while (my $line = <STDIN>) {
		chomp $line;
		my ($weight, $want, $request) = split /\t/, $line, 3;
		my ($method) = $request =~ /\A(\S+)/;
		push @rows, ([$want, raw($request), $method]) x $weight;
	}
	srand 7;
	my $end = time + $seconds;
	my %client;
	my $readers = IO::Select->new;
	my $next = sub {	# a client's next request, on its connection or a new one
		my $c = shift;
		$c->{row} = $rows[rand @rows];
		$c->{in} = '';
		if (!$c->{s} || $c->{left}-- <= 0) {
			if ($c->{s}) {
				$readers->remove($c->{s});
				delete $client{ fileno $c->{s} };
			}
			$c->{s} = reach();
			$c->{left} = int rand 20;
			if (!$c->{s}) {
				push @first, "cannot connect: $!";
				$wrong{'cannot connect'}++;
				return;
			}
			$readers->add($c->{s});
		}
		$client{ fileno $c->{s} } = $c;
		syswrite $c->{s}, $c->{row}[1];
		$c->{since} = time;
		$c->{busy} = 1;
	};
	$next->({}) for 1 .. $clients;
	while ($readers->count) {
		my @ready = $readers->can_read($limit);
		last if !@ready;
		for my $s (@ready) {
			my $c = $client{ fileno $s };
			my $eof = !sysread $s, $c->{in}, 65536, length $c->{in};
			my $answer = $c->{busy} ? answer(\$c->{in}, $c->{row}[2], $eof) : undef;
			if ($answer) {
				my $said = words($answer);
				$said .= ' +' . length $c->{in} if length $c->{in};
				$count{$said}++;
				$answers++;
				if (!grep { $_ eq $said } split /\|/, $c->{row}[0]) {
					$wrong{$said}++;
					push @first, "$said instead of $c->{row}[0]" if @first < 5;
				}
				$c->{busy} = 0;
			}
			next if !$answer && !$eof;
			if (!$answer && $eof && $c->{busy}) {
				# A server may end a kept connection just as we ask again, and says nothing then.
				if ($c->{in} ne '' || !$c->{kept}) {
					$wrong{closed}++;
					push @first, "closed instead of $c->{row}[0]" if @first < 5;
				} else {
					$count{again}++;
				}
			}
			if ($eof || $answer->{close}) {
				$readers->remove($s);
				delete $client{ fileno $s };
				close $s;
				$c->{s} = undef;
			}
			$c->{kept} = defined $c->{s};
			if (time < $end || $answers < $least) {
				$next->($c);
				$c->{kept} = 0 if !$c->{s};
			} elsif ($c->{s}) {
				$readers->remove($s);
				close $s;
			}
		}
	}
	my $silent = grep { $_->{busy} } values %client;
	$wrong{silent} = $silent if $silent;
	printf "%d %s\n", $count{$_}, $_ for sort keys %count;
	printf "wrong: %d %s\n", $wrong{$_}, $_ for sort keys %wrong;
	print "wrong: $_\n" for @first;
	return %wrong ? 1 : 0;
}

sub integer {	# HPACK, RFC 7541 section 5.1
	my ($first, $bits, $n) = @_;
	my $most = (1 << $bits) - 1;
	return chr($first | $n) if $n < $most;
	my $out = chr($first | $most);
	for ($n -= $most; $n >= 128; $n >>= 7) { $out .= chr($n & 127 | 128); }
	return $out . chr $n;
}

sub field {	# a literal by the number of its name, not to be remembered: RFC 7541 section 6.2.2
	my ($index, $value) = @_;
	return integer(0, 4, $index) . integer(0, 7, length $value) . $value;
}

sub frame {	# RFC 9113 section 4.1
	my ($type, $flags, $stream, $content) = @_;
	return substr(pack('N', length $content), 1) . pack('CCN', $type, $flags, $stream) . $content;
}

sub streams {
	my (%body, %end, @ids);
	my $s = reach() or die "cannot connect\n";
	my $out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '') . frame(8, 0, 0, pack 'N', 1 << 24);
	while (my $line = <STDIN>) {
		chomp $line;
		my ($path, @credentials) = split /\t/, $line;
		my $id = 1 + 2 * @ids;
		push @ids, $id;
		$body{$id} = '';
		$out .= frame(1, 5, $id, "\x82\x86" . field(4, $path) . field(1, "127.0.0.1:$port") . join '', map { field(23, $_) } @credentials);
	}
	my $in = '';
	send_all($s, $out, \$in);
	while (keys %end < @ids) {
		while (length $in >= 9) {
			my $length = unpack 'N', "\0" . substr $in, 0, 3;
			last if length $in < 9 + $length;
			my ($type, $flags, $id) = unpack 'CCN', substr $in, 3, 6;
			my $content = substr $in, 9, $length;
			substr $in, 0, 9 + $length, '';
			$body{$id} .= $content if $type == 0 && !($flags & 8);	# nobody pads here
			$end{$id} = 1 if ($type == 0 || $type == 1) && $flags & 1;
			$end{$id} = 'reset' if $type == 3 && !$end{$id};
			syswrite $s, frame(4, 1, 0, '') if $type == 4 && !($flags & 1);
		}
		last if keys %end == @ids || !defined(my $gone = more($s, \$in));
		last if $gone;
	}
	for (@ids) {
		my $said = words({ status => '', headers => {}, body => $body{$_} });
		print !$end{$_} ? 'silent' : $end{$_} eq 'reset' ? 'reset' : $said =~ s/^ //r, "\n";
	}
}

if ($mode eq '--streams') {
	streams();
	exit 0;
}
if ($mode eq '--load') {
	exit load(@ARGV);
}
while (my $line = <STDIN>) {
	chomp $line;
	print converse(split /\t/, $line), "\n";
}
