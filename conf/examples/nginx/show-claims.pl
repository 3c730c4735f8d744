#!/usr/bin/perl
# show-claims.pl HOST:PORT: an HTTP program for behind nginx that shows, as JSON, who bearergate says is asking: what
# came in headers that begin with X-Auth-, by the names of the CGI variables.  It checks nothing itself.  With port 0 the
# system chooses one; the first line on standard output tells which.  Only what perl-base brings.
use strict;
use warnings;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalAddr => shift // '127.0.0.1:0', Listen => 128, ReuseAddr => 1)
    or die "cannot listen: $@\n";
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
$| = 1;
print 'listening on ', $listener->sockhost, ':', $listener->sockport, "\n";

my %routes = map { $_ => 1 } qw(/api/public /api/private /api/private-scoped);

sub text {	# as a JSON string
	my $s = shift;
	$s =~ s/(["\\])/\\$1/g;
	$s =~ s/([^ -~])/sprintf '\\u%04x', ord $1/ge;
	return "\"$s\"";
}

sub variable {	# X-Auth-Claim-Org-Id is CLAIM_ORG_ID
	my $name = uc shift;
	$name =~ tr/-/_/;
	return $name eq 'TYPE' ? 'AUTH_TYPE' : $name;
}

sub digest {	# of a body, by sha256sum
	my ($client, $length) = @_;
	my ($all, $part) = ('');
	while ($length > 0) {
		my $n = read $client, $part, $length;
		last unless $n;
		$all .= $part;
		$length -= $n;
	}
	my $pid = open my $in, '-|';
	if (!$pid) {
		open my $out, '|-', 'sha256sum' or die "sha256sum: $!\n";
		print $out $all;
		close $out;
		exit 0;
	}
	my ($sum) = split ' ', scalar <$in>;
	return $sum;
}

sub answer {
	my $client = shift;
	local $/ = "\r\n";
	my ($method, $path) = split ' ', scalar <$client> // return;
	my (%claims, $length);
	while (defined(my $line = <$client>)) {
		chomp $line;
		last if $line eq '';
		my ($name, $value) = $line =~ /^([^:]*):\s*(.*?)\s*$/ or next;
		$claims{variable($1)} = $value if $name =~ /^X-Auth-(.*)/i;
		$length = $value if lc $name eq 'content-length';
	}
	my ($route) = $path =~ m{^(/api/[a-z-]+)(?:[/?]|$)};
	my ($status, $body) = ('404 Not Found', "{}\n");
	if (defined $route && $routes{$route}) {
		$status = '200 OK';
		$body = '{ "route": ' . text($route) . ', "path": ' . text($path);
		$body .= ', "body_sha256": ' . text(digest($client, $length)) if $method eq 'POST' && defined $length;
		$body .= ', "claims": { ' . join(', ', map { text($_) . ': ' . text($claims{$_}) } sort keys %claims) . " } }\n";
	}
	print $client "HTTP/1.0 $status\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: ",
	    length $body, "\r\nConnection: close\r\n\r\n", $method eq 'HEAD' ? '' : $body;
	# A body that nobody has read, such as a chunked one, would make the system reset the connection, and the answer might be lost.
	$client->flush;
	shutdown $client, 1;
	1 while sysread $client, my $rest, 65536;
}

while (1) {
	my $client = $listener->accept or next;
	my $pid = fork;
	if (defined $pid && $pid == 0) {
		close $listener;
		$SIG{CHLD} = 'DEFAULT';
		alarm 30;
		answer($client);
		exit 0;
	}
	close $client;
}
