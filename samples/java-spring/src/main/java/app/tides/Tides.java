package app.tides;

import java.time.Duration;
import java.time.Instant;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** A page that tells the tide of an imaginary harbour, and what the app runs on. */
@SpringBootApplication
@RestController
public class Tides {
    private static final Duration PERIOD = Duration.ofMinutes(745);
    private final Instant started = Instant.now();

    public static void main(String[] args) {
        SpringApplication.run(Tides.class, args);
    }

    @GetMapping(value = "/", produces = MediaType.TEXT_HTML_VALUE)
    String page() {
        return """
            <!doctype html>
            <title>Tides</title>
            <link rel="stylesheet" href="/style.css">
            <h1>The tide is %s</h1>
            <p>Height %.2f m. Spring Boot %s on Java %s, %d processors, a heap of at most %d MiB;
            up for %d s.</p>
            """.formatted(
                rising() ? "coming in" : "going out",
                height(Instant.now()),
                SpringBootVersion.getVersion(),
                Runtime.version(),
                Runtime.getRuntime().availableProcessors(),
                Runtime.getRuntime().maxMemory() >> 20,
                Duration.between(started, Instant.now()).toSeconds());
    }

    private static boolean rising() {
        Instant now = Instant.now();
        return height(now.plusSeconds(60)) > height(now);
    }

    private static double height(Instant at) {
        double phase = 2 * Math.PI * (at.getEpochSecond() % PERIOD.toSeconds()) / PERIOD.toSeconds();
        return 2 + 1.6 * Math.sin(phase);
    }
}
