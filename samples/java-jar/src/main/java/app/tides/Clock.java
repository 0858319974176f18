package app.tides;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.Executors;

/** A page with the time, served by the JDK's own server. */
public final class Clock {
    private Clock() {}

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", Clock::answer);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(1)));
        server.start();
        System.out.println("Listening on port " + port);
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String page;
        try (InputStream template = Clock.class.getResourceAsStream("/page.html")) {
            page = new String(template.readAllBytes(), StandardCharsets.UTF_8);
        }
        byte[] body = page
            .replace("{time}", ZonedDateTime.now().format(DateTimeFormatter.RFC_1123_DATE_TIME))
            .replace("{java}", Runtime.version().toString())
            .replace("{heap}", Runtime.getRuntime().maxMemory() / (1 << 20) + " MiB")
            .getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/html; charset=utf-8");
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
